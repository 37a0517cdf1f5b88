//! Mapping data flows of Data Factory are imported, pass the check, and give the rows that Data Factory's documentation says.

use crate::project::Project;

/// A file of the cases of `millrace-convert`.
macro_rules! case {
    ($path:literal) => {
        include_str!(concat!("../../../millrace-convert/tests/cases/adf_flows/", $path))
    };
}

const SHAPES: &str = include_str!("data_flows/shapes.flow-test.yaml");
const FUNCTIONS: &str = include_str!("data_flows/functions.flow-test.yaml");
const ORDERS: &str = include_str!("data_flows/orders.flow-test.yaml");
const CHECKS: &str = include_str!("data_flows/checks.flow-test.yaml");
const PATTERNS: &str = include_str!("data_flows/patterns.flow-test.yaml");

/// What the report says of the connections, filled in.
const CONNECTIONS: &str = "
lake_raw: {azblob: {container: raw, account: shop, anonymous: true}}
lake_clean: {azblob: {container: clean, account: shop, anonymous: true}}
shop_db: {postgres: {url: 'postgres://reader@localhost/shop'}}
";

#[test]
fn imported_data_flows_give_the_documented_rows() {
    let project = Project::new(&[
        ("adf/dataflow/Clean Orders.json", case!("dataflow/Clean Orders.json")),
        ("adf/dataflow/Trim Names.json", case!("dataflow/Trim Names.json")),
        ("adf/dataflow/checks.json", case!("dataflow/checks.json")),
        ("adf/dataflow/flowlet user.json", case!("dataflow/flowlet user.json")),
        ("adf/dataflow/functions.json", case!("dataflow/functions.json")),
        ("adf/dataflow/missing.json", case!("dataflow/missing.json")),
        ("adf/dataflow/patterns.json", case!("dataflow/patterns.json")),
        ("adf/dataflow/shapes.json", case!("dataflow/shapes.json")),
        ("adf/dataset/CountriesTable.json", case!("dataset/CountriesTable.json")),
        ("adf/dataset/CustomersTable.json", case!("dataset/CustomersTable.json")),
        ("adf/dataset/ItemsJson.json", case!("dataset/ItemsJson.json")),
        ("adf/dataset/ItemsTable.json", case!("dataset/ItemsTable.json")),
        ("adf/dataset/LargeFile.json", case!("dataset/LargeFile.json")),
        ("adf/dataset/OrdersFile.json", case!("dataset/OrdersFile.json")),
        ("adf/linkedService/lake.json", case!("linkedService/lake.json")),
        ("adf/linkedService/shopDb.json", case!("linkedService/shopDb.json")),
        ("adf/pipeline/nightly flows.json", case!("pipeline/nightly flows.json")),
        ("tests/shapes.flow-test.yaml", SHAPES),
        ("tests/functions.flow-test.yaml", FUNCTIONS),
        ("tests/orders.flow-test.yaml", ORDERS),
        ("tests/checks.flow-test.yaml", CHECKS),
        ("tests/patterns.flow-test.yaml", PATTERNS),
    ]);
    let said = project.millrace(&["import", "adf", "adf"]);
    project.write("connections.yaml", CONNECTIONS);
    assert!(said.starts_with("exit 0"), "{said}");
    let checked = project.millrace(&["check"]);
    assert!(checked.starts_with("exit 0"), "{checked}");
    let tested = project.millrace(&["test"]);
    assert!(tested.starts_with("exit 0"), "{tested}");
}
