import { expect, it } from "vitest";
import { imageAt } from "../experiments/CompareImages";
import { imagesByKey, loggedImage, seriesOf } from "./series";

const image = (key: string, step: number, at: number, end = "png", separator = "+") =>
  `${key}${separator}step${separator}${step}${separator}timestamp${separator}${at}${separator}0a1b-22${end}`;

it("reads the names of mlflow.log_image, of old clients too", () => {
  expect(loggedImage(image("val~dog", 3, 17, ".png"))).toMatchObject({
    key: "val/dog",
    step: 3,
    at: 17,
    compressed: false,
  });
  expect(loggedImage(image("dog", 3, 17, "%compressed.webp", "%"))).toMatchObject({ key: "dog", compressed: true });
  expect(loggedImage("dog.png")).toBeNull();
});

it("keeps the last image of a step with its small version", () => {
  const names = [
    image("dog", 10, 1, ".png"),
    image("dog", 10, 2, ".png"),
    image("dog", 10, 2, "+compressed.webp"),
    image("dog", 9, 1, ".png"),
    "other.png",
  ];
  expect([...imagesByKey(names)]).toEqual([
    [
      "dog",
      [
        { step: 9, small: names[3], full: names[3] },
        { step: 10, small: names[2], full: names[1] },
      ],
    ],
  ]);
});

it("shows the last image up to a step", () => {
  const images = [0, 10].map((step) => ({ step, small: "", full: "" }));
  expect([-1, 0, 9, 99].map((step) => imageAt(images, step)?.step)).toEqual([undefined, 0, 0, 10]);
});

it("finds the steps of any file by the last number in its name", () => {
  const names = ["sample_10.txt", "sample_9.txt", "sample_9.csv", "sample.txt"];
  expect(seriesOf("sample_9.txt", names)?.members.map(({ step }) => step)).toEqual([9, 10]);
  expect(seriesOf("sample_9.csv", names)).toBeNull();
  expect(seriesOf("sample.txt", names)).toBeNull();
});
