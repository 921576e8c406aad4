import { formatDocument, stringifyDocument } from "@urql/core";
import type { DocumentNode } from "graphql";
import * as generated from "../gql/graphql";

/** The documents of all operations. */
export const operations = Object.entries(generated).flatMap(([name, document]) =>
  name.endsWith("Document") ? [document as unknown as DocumentNode] : [],
);

/**
 * What the dashboard may send of them: as urql does, which adds __typename for
 * its cache, and as live streams do, which have none.
 */
export function texts(): string[] {
  return operations.flatMap((document) => [
    stringifyDocument(document),
    stringifyDocument(formatDocument(document) as DocumentNode),
  ]);
}
