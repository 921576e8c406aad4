import { Button } from "@mantine/core";
import { useState } from "react";
import { useClient, useMutation } from "urql";
import { type Failure, failureOf } from "../api/errors";
import { CheckRulesQuery, SaveRulesMutation } from "../api/rules";
import { DANGER } from "../ui/danger";
import { Dialog } from "../ui/dialog";
import { FailureNote } from "../ui/note";
import { Scroll } from "../ui/scroll";
import { UnsavedGuard } from "../ui/unsaved";
import { Editor } from "./editor";
import { mistakeOf, offsetOf, positionOf, type Report, type RuleSet } from "./model";
import { ReportView } from "./parts";
import styles from "./rules.module.css";
import type { RulesPlace } from "./use-rules";

export interface Draft {
  text: string;
  /** The version that the change was made from; 0: there was none. */
  base: number;
  dirty: boolean;
  type: (text: string) => void;
  /** Keeps the text, as a change of the newest version. */
  rebase: () => void;
  discard: () => void;
  /** Of what was typed, only what is newer than the text `sent`, which is this version now, stays. */
  saved: (sent: string, version: number) => void;
}

/** What is typed, until it is saved; else the newest text, whoever saves it. */
export function useDraft(newest: RuleSet | null): Draft {
  const [typed, setTyped] = useState<{ text: string; base: number } | null>(null);
  const version = newest?.version ?? 0;
  const there = newest?.text ?? "";
  const text = typed?.text ?? there;
  return {
    text,
    base: typed?.base ?? version,
    dirty: text !== there,
    type: (to) =>
      setTyped((before) => (to === there ? null : { text: to, base: before?.base ?? version })),
    rebase: () => setTyped({ text, base: version }),
    discard: () => setTyped(null),
    saved: (sent, as) =>
      setTyped((before) =>
        before && before.text !== sent ? { text: before.text, base: as } : null,
      ),
  };
}

/** When what was saved counts. */
function fetchedBy(servers: RulesPlace["servers"]): string {
  if (servers.length === 0) {
    return "No license server with a link is known: one without goes by its own file of rules (--rules).";
  }
  return servers.every((s) => s.role === "DOWN")
    ? "The platform does not hear from its servers now: they go on with what they have until it does."
    : "The servers have it within seconds; running programs keep what they have.";
}

interface Told {
  title: string;
  failure: Failure;
}

export function Change({
  place,
  newest,
  draft,
  onSaved,
  onEnd,
}: {
  place: RulesPlace;
  newest: RuleSet | null;
  draft: Draft;
  onSaved: (set: RuleSet | null) => void;
  onEnd: () => void;
}) {
  const client = useClient();
  const [, save] = useMutation(SaveRulesMutation);
  const [busy, setBusy] = useState<"" | "check" | "save">("");
  const [told, setTold] = useState<Told | null>(null);
  const [checked, setChecked] = useState<{ text: string; report: Report } | null>(null);
  const [asked, setAsked] = useState<Report | null>(null);
  const [done, setDone] = useState("");
  const [goTo, setGoTo] = useState<{ offset: number } | null>(null);

  const { text } = draft;
  const version = newest?.version ?? 0;
  const overtaken = draft.dirty && draft.base !== version;
  const tooLong = mistakeOf(text);
  const wrong = positionOf(told?.failure ?? null);

  const begin = (as: "check" | "save") => {
    setBusy(as);
    setTold(null);
    setDone("");
  };
  const check = async () => {
    begin("check");
    const { data, error } = await client
      .query(CheckRulesQuery, { ...place.ids, text }, { requestPolicy: "network-only" })
      .toPromise();
    setBusy("");
    if (!data) {
      setChecked(null);
      setTold({ title: "The rules were not checked", failure: failureOf(error) });
      return;
    }
    setChecked({ text, report: data.checkRules });
  };
  const store = async (confirm: boolean) => {
    begin("save");
    const input = { ...place.ids, text, expectedVersion: draft.base, confirm };
    const { data, error } = await save({ input });
    setBusy("");
    if (!data) {
      setAsked(null);
      setTold({ title: "The rules were not saved", failure: failureOf(error) });
      onEnd();
      return;
    }
    const { saved, ruleSet, report } = data.saveRules;
    if (!saved) {
      setChecked({ text, report });
      setAsked(report);
      return;
    }
    setAsked(null);
    setChecked(null);
    onSaved(ruleSet ?? null);
    draft.saved(text, ruleSet?.version ?? 0);
    const what =
      text.trim() === ""
        ? "Saved: there are no rules any more, and everybody may use the licenses."
        : `Version ${ruleSet?.version} is saved.`;
    setDone(`${what} ${fetchedBy(place.servers)}`);
    onEnd();
  };

  return (
    <div className={styles["change"]}>
      <Editor
        value={text}
        onChange={(to) => {
          draft.type(to);
          setDone("");
          if (wrong) setTold(null);
        }}
        wrong={wrong?.line ?? null}
        error={
          tooLong ?? (wrong && told ? `${told.failure.message} ${told.failure.fix}`.trim() : null)
        }
        goTo={goTo}
      />
      {wrong && (
        <div>
          <Button
            variant="default"
            onClick={() => setGoTo({ offset: offsetOf(text, wrong) })}
            data-testid="go-to-line"
          >
            Go to line {wrong.line}
          </Button>
        </div>
      )}
      {told && !wrong && <FailureNote {...told} />}
      {overtaken && (
        <div className={styles["overtaken"]} role="alert" data-testid="overtaken">
          <p>
            <b>
              {newest?.savedBy ?? "Somebody"} saved version {version} meanwhile.
            </b>{" "}
            It is shown above; what you typed is still here.
          </p>
          <div className={styles["buttons"]}>
            <Button variant="default" onClick={draft.rebase} data-testid="rebase">
              Replace it by mine
            </Button>
            <Button variant="default" onClick={draft.discard} data-testid="take-theirs">
              Discard mine
            </Button>
          </div>
        </div>
      )}
      <div className={styles["buttons"]}>
        <Button
          variant="default"
          loading={busy === "check"}
          disabled={busy !== "" || tooLong !== null}
          onClick={() => void check()}
          data-testid="check-rules"
        >
          Check
        </Button>
        <Button
          loading={busy === "save" && !asked}
          disabled={busy !== "" || !draft.dirty || overtaken || tooLong !== null}
          onClick={() => void store(false)}
          data-testid="save-rules"
        >
          Save
        </Button>
        {draft.dirty && (
          <Button
            variant="default"
            onClick={() => {
              draft.discard();
              setTold(null);
              setChecked(null);
            }}
          >
            Discard
          </Button>
        )}
        <span className="soft" role="status" data-testid="rules-done">
          {done}
        </span>
      </div>
      {checked && (
        <>
          {checked.text !== text && <p className="soft">The text was changed after this check.</p>}
          <ReportView report={checked.report} />
        </>
      )}
      <p className="meta soft">
        <span className="mono">allow</span>, <span className="mono">deny</span>,{" "}
        <span className="mono">reserve N</span>, <span className="mono">cap N</span> or{" "}
        <span className="mono">priority P</span>, then who (
        <span className="mono">user: group: application: host: subnet:</span> or{" "}
        <span className="mono">everybody</span>), then <span className="mono">firm:</span> or{" "}
        <span className="mono">product:</span> and a <span className="mono">name:</span>. A group is{" "}
        <span className="mono">group NAME MEMBERS</span>. The most specific rule decides; an empty
        text lifts all rules.
      </p>
      <Dialog
        opened={asked !== null}
        onClose={() => setAsked(null)}
        title="Save rules that would have refused grants?"
      >
        {asked && (
          <div className={styles["ask"]}>
            <p>Programs that run keep their licenses; who asks next is refused.</p>
            <Scroll label="What would have been refused" tall>
              <ReportView report={asked} />
            </Scroll>
            <div className={styles["end"]}>
              <Button
                variant="default"
                data-autofocus
                onClick={() => setAsked(null)}
                data-testid="keep-editing"
              >
                Go on editing
              </Button>
              <Button
                {...DANGER}
                loading={busy === "save"}
                onClick={() => void store(true)}
                data-testid="save-anyway"
              >
                Save all the same
              </Button>
            </div>
          </div>
        )}
      </Dialog>
      <UnsavedGuard dirty={draft.dirty && busy !== "save"} />
    </div>
  );
}
