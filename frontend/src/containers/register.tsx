import { Button, Checkbox, Group as Row, TextInput } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useMutation } from "urql";
import { RegisterContainerMutation } from "../api/containers";
import type { RegisterContainerMutation as Result } from "../gql/graphql";
import type { OfflineFile } from "../offline/file";
import { FileInput } from "../offline/file-input";
import { Dialog } from "../ui/dialog";
import { useAct } from "./act";
import { DialogForm } from "./form";
import styles from "./page.module.css";

const route = getRouteApi("/$side/$organization");

function Registered({
  made,
  server,
  onDone,
}: {
  made: Result["registerContainer"];
  server: string;
  onDone: () => void;
}) {
  const params = route.useParams();
  return (
    <div className={styles["form"]}>
      <p role="status">
        <span className="mono">{made.container.serial}</span> is registered
        {made.container.customer && <> for {made.container.customer.name}</>}.
      </p>
      {made.linkToken && (
        <>
          <p>
            The link token of the license server {server}. It is shown this once: give it to whoever
            runs the server, in confidence.
          </p>
          <code className={styles["token"]} data-testid="link-token">
            {made.linkToken}
          </code>
        </>
      )}
      {server && !made.linkToken && (
        <p className="soft">The license server was there already; its link token stays.</p>
      )}
      <Row justify="flex-end" gap={8}>
        <Button variant="default" onClick={onDone}>
          Close
        </Button>
        <Button
          renderRoot={(props) => (
            <Link
              to="/$side/$organization/containers/$container"
              params={{ ...params, container: made.container.serial }}
              {...props}
            />
          )}
        >
          Open it
        </Button>
      </Row>
    </div>
  );
}

function RegisterForm({ onDone }: { onDone: () => void }) {
  const [, register] = useMutation(RegisterContainerMutation);
  const { side } = route.useParams();
  const { viewer } = route.useRouteContext();
  const sells = side === "v" && viewer.organization.vendor;
  const { busy, failure, run } = useAct();
  const [request, setRequest] = useState<OfflineFile | null>(null);
  const [customer, setCustomer] = useState("");
  const [linked, setLinked] = useState(false);
  const [server, setServer] = useState("");
  const [address, setAddress] = useState("");
  const [tried, setTried] = useState(false);
  const [made, setMade] = useState<Result["registerContainer"] | null>(null);

  if (made) return <Registered made={made} server={linked ? server.trim() : ""} onDone={onDone} />;
  const grouped = request?.group != null;
  const nameless = linked && server.trim() === "";
  const submit = async () => {
    setTried(true);
    if (!request || grouped || nameless) return;
    await run(async (idempotencyKey) => {
      const { data, error } = await register({
        input: {
          request: request.text,
          // Who is a customer, too, is meant as what this side shows.
          vendor: sells ? viewer.organization.id : null,
          customer: customer.trim() || null,
          server: linked ? { name: server.trim(), address: address.trim() } : null,
          idempotencyKey,
        },
      });
      if (data) setMade(data.registerContainer);
      return { error };
    });
  };
  return (
    <DialogForm
      failed="The container was not registered"
      failure={failure}
      busy={busy}
      submit="Register"
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <p className="soft">
        On the container's machine:{" "}
        <span className="mono">quorate request --container container.qrc -o one.lreq</span>
      </p>
      <FileInput kind="request" value={request} onChange={setRequest} disabled={busy} />
      {tried && !request && (
        <p className={styles["problem"]} role="alert">
          Hand in the container's request file.
        </p>
      )}
      {grouped && (
        <p className={styles["problem"]} role="alert">
          It is of a TMR group: groups are made by quorate provision.
        </p>
      )}
      {sells && (
        <TextInput
          label="Customer"
          description="Who runs it; made where there is none. Empty: you run it yourself."
          maxLength={200}
          autoComplete="off"
          value={customer}
          onChange={(event) => setCustomer(event.currentTarget.value)}
        />
      )}
      <Checkbox
        label="Its license server gets updates over the link"
        checked={linked}
        onChange={(event) => setLinked(event.currentTarget.checked)}
      />
      {linked && (
        <>
          <TextInput
            label="Name of the license server"
            description="As quorate server --name has it."
            maxLength={200}
            autoComplete="off"
            value={server}
            onChange={(event) => setServer(event.currentTarget.value)}
            error={tried && nameless ? "Give its name." : null}
          />
          <TextInput
            label="Address"
            description="Where programs reach it, for people to read."
            maxLength={200}
            autoComplete="off"
            value={address}
            onChange={(event) => setAddress(event.currentTarget.value)}
          />
        </>
      )}
    </DialogForm>
  );
}

export function RegisterDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Dialog opened={opened} onClose={onClose} title="Register a container">
      <RegisterForm onDone={onClose} />
    </Dialog>
  );
}
