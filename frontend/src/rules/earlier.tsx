import { Button } from "@mantine/core";
import { useState } from "react";
import { useQuery } from "urql";
import { failureOf } from "../api/errors";
import { RuleVersionQuery } from "../api/rules";
import { DANGER } from "../ui/danger";
import { Dialog } from "../ui/dialog";
import { FailureNote } from "../ui/note";
import { moment } from "../ui/time";
import { Wait } from "../ui/wait";
import type { RuleSet } from "./model";
import { RulesTable } from "./parts";
import styles from "./rules.module.css";
import type { RulesPlace } from "./use-rules";

export function Saved({ set }: { set: RuleSet }) {
  return (
    <p className="soft" data-testid="rules-saved-by">
      Version {set.version}, saved by {set.savedBy}, {moment(set.createdAt)}
    </p>
  );
}

/** A version that is not in force any more. */
export function Earlier({
  place,
  version,
  unsaved,
  onEdit,
}: {
  place: RulesPlace;
  version: number;
  /** Whether something was typed that `onEdit` would replace. */
  unsaved: boolean;
  onEdit: ((text: string) => void) | null;
}) {
  const [{ data, error }, refetch] = useQuery({
    query: RuleVersionQuery,
    variables: { ...place.ids, version },
  });
  const [asked, setAsked] = useState(false);
  const set = data?.ruleSet;
  if (error) {
    return (
      <FailureNote
        title="The version could not be loaded"
        failure={failureOf(error)}
        onRetry={() => refetch({ requestPolicy: "network-only" })}
      />
    );
  }
  if (!data) return <Wait heights={[120]} label="Loading the version" />;
  if (!set) return <p>This version is not kept any more.</p>;
  return (
    <>
      <Saved set={set} />
      <RulesTable set={set} />
      <details>
        <summary>Show as text</summary>
        <pre className={styles["text"]}>{set.text}</pre>
      </details>
      {onEdit && (
        <div>
          <Button
            variant="default"
            onClick={() => (unsaved ? setAsked(true) : onEdit(set.text))}
            data-testid="edit-version"
          >
            Go back to this text
          </Button>
          <Dialog
            opened={asked}
            onClose={() => setAsked(false)}
            title="Replace what you have typed?"
          >
            <div className={styles["ask"]}>
              <p>What you have changed and not saved is lost: version {version} takes its place.</p>
              <div className={styles["end"]}>
                <Button
                  variant="default"
                  data-autofocus
                  onClick={() => setAsked(false)}
                  data-testid="keep-typed"
                >
                  Keep mine
                </Button>
                <Button
                  {...DANGER}
                  onClick={() => {
                    setAsked(false);
                    onEdit(set.text);
                  }}
                  data-testid="replace-typed"
                >
                  Replace it
                </Button>
              </div>
            </div>
          </Dialog>
        </div>
      )}
    </>
  );
}
