import { Link } from "@tanstack/react-router";
import type { PromotionView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";

const yes = (promotion: PromotionView) => promotion.votes.filter((vote) => vote.approve).length;

/** Requests to point an alias at a version of a model; they are decided on the model's page. */
export function PromotionTable({ promotions }: { promotions: PromotionView[] }) {
  return (
    <DataTable
      label="promotions"
      rows={promotions}
      rowKey={(promotion) => promotion.id}
      columns={[
        {
          key: "state",
          header: "State",
          value: (promotion) => promotion.state,
          cell: (promotion) => <Status status={promotion.state === "pending" ? "waiting" : promotion.state} />,
        },
        {
          key: "what",
          header: "What",
          value: (promotion) => `${promotion.model}@${promotion.version} as ${promotion.alias}`,
          cell: (promotion) => (
            <Link
              to="/models/$name"
              params={{ name: promotion.model }}
              search={{ tab: "promotions", version: promotion.version }}
            >
              {promotion.model}@{promotion.version} as {promotion.alias}
            </Link>
          ),
        },
        {
          key: "given",
          header: "Approvals",
          numeric: true,
          value: (promotion) => `${yes(promotion)} of ${promotion.approvals}`,
        },
        { key: "by", header: "Asked by", value: (promotion) => promotion.by },
        { key: "at", header: "Since", value: (promotion) => promotion.at, cell: (row) => <Ago at={row.at} /> },
        {
          key: "why",
          header: "Why",
          value: (promotion) => promotion.comment,
          cell: (promotion) => <Message text={promotion.comment} />,
        },
      ]}
    />
  );
}
