import {
  Burger,
  Popover,
  SegmentedControl,
  Switch,
  UnstyledButton,
  useMantineColorScheme,
} from "@mantine/core";
import { useWindowEvent } from "@mantine/hooks";
import { getRouteApi, Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { signOut } from "../api/session";
import { LiveSocket, socketURL } from "../live/socket";
import { SocketContext } from "../live/stream";
import { OrganizationSwitch, TestBand } from "../organization/switch";
import { toSignIn } from "../signin/target";
import { Dialog } from "../ui/dialog";
import { ChevronIcon, Mark } from "../ui/icons";
import { zone } from "../ui/time";
import { NotYours } from "./fallback";
import { KEYS, setSingleKeys, singleKeys, useKeys } from "./keys";
import { LivePill } from "./live-pill";
import { ROLES } from "./roles";
import styles from "./shell.module.css";

export const organizationRoute = getRouteApi("/$side/$organization");

const SCHEMES = [
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
  { value: "auto", label: "Auto" },
] as const;

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <SegmentedControl
      size="xs"
      aria-label="Colour scheme"
      data={SCHEMES.map((s) => ({ ...s }))}
      value={colorScheme}
      onChange={setColorScheme}
    />
  );
}

async function leave() {
  try {
    await signOut();
  } finally {
    window.location.assign("/login");
  }
}

function UserMenu({ onHelp }: { onHelp: () => void }) {
  const { viewer } = organizationRoute.useRouteContext();
  const params = organizationRoute.useParams();
  const [opened, setOpened] = useState(false);
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      width={240}
      shadow="md"
      withinPortal={false}
      trapFocus
      returnFocus
    >
      <Popover.Target>
        <UnstyledButton
          className={styles["user"]}
          aria-label={`${viewer.name}: account`}
          onClick={() => setOpened((now) => !now)}
          data-testid="user-menu"
        >
          <span className={styles["userName"]}>{viewer.name}</span>
          <span className={styles["userShort"]} aria-hidden="true">
            {viewer.name.charAt(0)}
          </span>
          <ChevronIcon />
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        <div className={styles["who"]}>
          <b>{viewer.name}</b>
          {viewer.email && <span className="soft meta">{viewer.email}</span>}
          <span className="soft meta">
            {ROLES[viewer.role]} of {viewer.organization.name}
          </span>
          <span className="soft meta">Times are in {zone()}</span>
        </div>
        <div className={styles["menuScheme"]}>
          <SchemeSwitch />
        </div>
        <Link
          to="/$side/$organization/account"
          params={params}
          className={styles["item"]}
          onClick={() => setOpened(false)}
          data-testid="account"
        >
          Account
        </Link>
        <UnstyledButton
          className={styles["item"]}
          onClick={() => {
            setOpened(false);
            onHelp();
          }}
        >
          Keyboard
        </UnstyledButton>
        <UnstyledButton className={styles["item"]} onClick={leave} data-testid="sign-out">
          Sign out
        </UnstyledButton>
      </Popover.Dropdown>
    </Popover>
  );
}

function KeyboardHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [on, setOn] = useState(singleKeys);
  return (
    <Dialog opened={opened} onClose={onClose} title="Keyboard">
      <table className={styles["keys"]}>
        <tbody>
          {KEYS.map(([key, what]) => (
            <tr key={key}>
              <th scope="row">
                <kbd>{key}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Switch
        mt={16}
        label="Single keys"
        checked={on}
        onChange={(event) => {
          setOn(event.currentTarget.checked);
          setSingleKeys(event.currentTarget.checked);
        }}
      />
    </Dialog>
  );
}

function useLiveSocket(onForbidden: () => void): LiveSocket | null {
  const [socket, setSocket] = useState<LiveSocket | null>(null);
  useEffect(() => {
    const opened = new LiveSocket(socketURL(window.location), toSignIn, onForbidden);
    setSocket(opened);
    return () => opened.close();
  }, [onForbidden]);
  return socket;
}

function Escape({ onPress }: { onPress: () => void }) {
  useWindowEvent("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) onPress();
  });
  return null;
}

export function Shell() {
  const { viewer, allowed, look } = organizationRoute.useRouteContext();
  const params = organizationRoute.useParams();
  const navigate = useNavigate();
  const [menu, setMenu] = useState(false);
  const [help, setHelp] = useState(false);
  const socket = useLiveSocket(look);

  useKeys({
    "g t": () => void navigate({ to: "/$side/$organization/tmr-groups", params }),
    "g c": () => void navigate({ to: "/$side/$organization/containers", params }),
    "g a": () => void navigate({ to: "/$side/$organization/allocations", params }),
    "g r": () => void navigate({ to: "/$side/$organization/rules", params }),
    "g i": () => void navigate({ to: "/$side/$organization/items", params }),
    "g m": () => void navigate({ to: "/$side/$organization/members", params }),
    "?": () => setHelp(true),
  });

  if (!allowed) return <NotYours wanted={params.organization} actsFor={viewer.organization} />;
  if (!socket) return null;
  return (
    <SocketContext value={socket}>
      <a className={styles["skip"]} href="#main">
        Skip to the content
      </a>
      <header className={styles["top"]}>
        <Burger
          className={styles["burger"]}
          size="sm"
          opened={menu}
          onClick={() => setMenu((open) => !open)}
          aria-label={menu ? "Close the menu" : "Open the menu"}
          aria-expanded={menu}
          aria-controls="nav"
        />
        <Link to="/" className={styles["brand"]} aria-label="Quorate, start page">
          <Mark /> <span>Quorate</span>
        </Link>
        <span className={styles["organization"]}>
          <OrganizationSwitch organization={viewer.organization} />
        </span>
        <span className={styles["space"]} />
        <LivePill />
        <span className={styles["scheme"]}>
          <SchemeSwitch />
        </span>
        <UserMenu onHelp={() => setHelp(true)} />
      </header>
      <TestBand environment={viewer.organization.environment} />
      {menu && <Escape onPress={() => setMenu(false)} />}
      <div className={styles["body"]}>
        <nav id="nav" className={styles["side"]} data-open={menu} aria-label="Pages">
          <Link
            to="/$side/$organization/tmr-groups"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            TMR groups
          </Link>
          <Link
            to="/$side/$organization/containers"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Containers
          </Link>
          <Link
            to="/$side/$organization/allocations"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Live allocations
          </Link>
          <Link
            to="/$side/$organization/rules"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Rules
          </Link>
          <Link
            to="/$side/$organization/items"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Items
          </Link>
          <Link
            to="/$side/$organization/members"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Members
          </Link>
          <Link
            to="/$side/$organization/tokens"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            API tokens
          </Link>
          <Link
            to="/$side/$organization/identity-providers"
            params={params}
            className={styles["link"]}
            onClick={() => setMenu(false)}
            activeProps={{ "data-active": true }}
          >
            Identity providers
          </Link>
        </nav>
        <main id="main" className={styles["main"]} tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <KeyboardHelp opened={help} onClose={() => setHelp(false)} />
    </SocketContext>
  );
}
