import { Holders } from "../allocations/list";

export function RulesListPage() {
  return <Holders title="Rules" to="/$side/$organization/rules/$container" />;
}
