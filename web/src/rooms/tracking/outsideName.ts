/** What people know a job or dataset of another system by: the end of `spark://cluster/load`, of `s3://lake/raw/orders.csv`. */
export const outsideName = (key: string) => key.split("/").filter(Boolean).pop() ?? key;
