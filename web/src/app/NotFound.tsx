import { Link } from "@tanstack/react-router";
import { PageHead } from "../ui/PageHead";

export function NotFound() {
  return (
    <>
      <PageHead title="There is no such page" about="The address may be of an older version, or mistyped." />
      <p>
        <Link to="/">Home</Link>, or press <kbd>/</kbd> to search.
      </p>
    </>
  );
}
