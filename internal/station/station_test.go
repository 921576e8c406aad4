package station_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/quorate/quorate/internal/station"
)

type files map[string]string

type env map[string]string

// over gives the trees laid over each other.
func over(trees ...files) files {
	all := files{}
	for _, t := range trees {
		maps.Copy(all, t)
	}
	return all
}

func place(root files, e env, host string) station.Place {
	tree := fstest.MapFS{}
	for name, content := range root {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return station.Place{Root: tree, Env: func(name string) string { return e[name] }, Host: host}
}

const (
	idA = "3d1219c7c4c5404aaa1f6d2a48adfda4"
	idB = "77777771c4c5404aaa1f6d2a48adfda4"
	hex = "4b74bbbc760ac8680dda2dc4542ffa784b74bbbc760ac8680dda2dc4542ffa78"
)

func machineID(id string) files { return files{"etc/machine-id": id + "\n"} }

func card(mac string) files {
	return files{
		"sys/class/net/eth0/device": "", "sys/class/net/eth0/type": "1\n", "sys/class/net/eth0/addr_assign_type": "0\n",
		"sys/class/net/eth0/address": mac + "\n",
	}
}

func session(id, fields string) files {
	return files{"run/systemd/sessions/" + id: "# This is private data. Do not parse.\n" + fields}
}

func inScope(id string) files {
	return files{"proc/self/cgroup": "0::/user.slice/user-1000.slice/session-" + id + ".scope\n"}
}

func boot(id string) files { return files{"proc/sys/kernel/random/boot_id": id + "\n"} }

// mounts is what a program in a container sees: the folder that takes the
// container's changes, and where its hostname comes from.
func mounts(upper, hostname string) files {
	s := "1 2 0:3 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=" + upper + ",workdir=/w\n" +
		"22 1 0:21 / /proc rw,relatime - proc proc rw\n"
	if hostname != "" {
		s += "30 1 8:1 " + hostname + " /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n"
	}
	return files{"proc/self/mountinfo": s}
}

var disk = files{"proc/self/mountinfo": "1 2 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n2 1 8:1 /etc/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"}

// Places on one line are one station; those on different lines are different
// ones.
func TestStations(t *testing.T) {
	pc := over(machineID(idA), disk, card("3c:52:82:00:00:01"))
	desk := over(
		session("2", "UID=1000\nUSER=ada\nREMOTE=0\nTYPE=wayland\nCLASS=user\nSEAT=seat0\n"),
		session("7", "UID=1000\nREMOTE=0\nTYPE=tty\nCLASS=user\nSEAT=seat0\n"),
		session("9", "UID=1001\nREMOTE=0\nTYPE=x11\nCLASS=user\nSEAT=seat0\n"),
		session("11", "UID=1000\nREMOTE=1\nTYPE=tty\nCLASS=user\nSERVICE=sshd\n"),
		session("12", "UID=1000\nREMOTE=1\nTYPE=tty\nCLASS=user\nSERVICE=sshd\n"),
		session("c1", "UID=1000\nREMOTE=0\nTYPE=x11\nCLASS=user\nSERVICE=xrdp-sesman\n"),
		session("c2", "UID=1000\nREMOTE=0\nTYPE=x11\nCLASS=user\nSERVICE=xrdp-sesman\n"),
		session("20", "UID=1000\nREMOTE=0\nTYPE=unspecified\nCLASS=background\nSERVICE=crond\n"),
		session("21", "UID=1000\nREMOTE=0\nTYPE=unspecified\nCLASS=background-light\nSERVICE=crond\n"),
		files{"run/systemd/users/1000": "NAME=ada\nSTATE=active\nDISPLAY=2\n", "run/systemd/users/1002": "NAME=eve\nSTATE=lingering\n"},
	)
	manager := func(uid string) files {
		return files{"proc/self/cgroup": "0::/user.slice/user-" + uid + ".slice/user@" + uid + ".service/app.slice/app-gnome.scope\n"}
	}
	service := files{"proc/self/cgroup": "0::/system.slice/cron.service\n"}
	vm := over(machineID(idA), disk, files{"sys/class/dmi/id/sys_vendor": "QEMU\n"})
	docker := files{".dockerenv": ""}
	windows := func(session string) station.Place {
		p := place(nil, nil, "TERMSERV")
		p.Session = session
		return p
	}
	seen := map[string]int{}
	for i, line := range [][]station.Place{
		// What runs in no session: a computer, by its id whatever its name is and
		// whatever cards are plugged in.
		{
			place(over(pc, desk, service), nil, "pc-1"), place(over(pc, service), nil, "pc-1.example.com"),
			place(over(pc, card("00:11:22:00:00:01"), desk, service), nil, "pc-1"), place(pc, nil, ""),
		},
		{place(over(pc, machineID(idB)), nil, "pc-1")},
		{place(disk, nil, "pc-1")}, // one without an id goes by its name
		{place(disk, nil, "pc-2")},

		// One user at one screen: the desktop's session, a program that the
		// service manager started, one under sudo without its environment, a text
		// console, and where no control group tells, the variable.
		{
			place(over(pc, desk, inScope("2")), env{"XDG_SESSION_ID": "2"}, "pc-1"), place(over(pc, desk, manager("1000")), nil, "pc-1"),
			place(over(pc, desk, inScope("2")), nil, "pc-1"), place(over(pc, desk, inScope("7")), nil, "pc-1"), place(over(pc, desk), env{"XDG_SESSION_ID": "2"}, "pc-1"),
			place(over(pc, desk, files{"proc/self/cgroup": "3:cpu:/\n1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n"}), nil, "pc-1"),
		},
		{place(over(pc, desk, inScope("9")), nil, "pc-1")}, // another user there
		{place(over(pc, desk, manager("1002")), nil, "pc-1")},
		// A user's timed jobs are one station, though each is a session.
		{place(over(pc, desk, inScope("20")), nil, "pc-1"), place(over(pc, desk, inScope("21")), nil, "pc-1")},

		// Sessions of a terminal server, of one user.
		{place(over(pc, desk, inScope("11")), env{"SSH_CONNECTION": "10.0.0.9 4711 10.0.0.1 22"}, "pc-1"), place(over(pc, desk, inScope("11")), nil, "pc-1")},
		{place(over(pc, desk, inScope("12")), nil, "pc-1")},
		{place(over(pc, desk, inScope("c1")), nil, "pc-1")},
		{place(over(pc, desk, inScope("c2")), nil, "pc-1")},
		// Without logind.
		{place(pc, env{"SSH_CONNECTION": "10.0.0.9 4711 10.0.0.1 22", "TERM": "x"}, "pc-1"), place(pc, env{"SSH_CONNECTION": "10.0.0.9 4711 10.0.0.1 22"}, "pc-1")},
		{place(pc, env{"SSH_CONNECTION": "10.0.0.9 4712 10.0.0.1 22"}, "pc-1")},
		{place(pc, env{"XRDP_SESSION": "1", "DISPLAY": ":10"}, "pc-1"), place(pc, env{"XRDP_SESSION": "1", "DISPLAY": ":10", "SSH_CONNECTION": "x"}, "pc-1")},
		{place(pc, env{"XRDP_SESSION": "1", "DISPLAY": ":11"}, "pc-1")},
		{place(pc, env{"X2GO_SESSION": "ada-50-1"}, "pc-1")},
		{place(pc, env{"VNCDESKTOP": "pc-1:1 (ada)"}, "pc-1")},
		{place(pc, env{"XDG_SESSION_ID": "5"}, "pc-1")},
		{place(nil, env{"SESSIONNAME": "RDP-Tcp#3"}, "TERMSERV")},
		{place(nil, env{"SESSIONNAME": "ICA-tcp#1"}, "TERMSERV")},
		// Where the system counts its sessions, and its services' is none.
		{windows("2")},
		{windows("3")},
		{windows("0"), place(nil, nil, "TERMSERV")},

		// Virtual machines that were copied with their id.
		{place(over(vm, card("52:54:00:00:00:01")), nil, "vm-1"), place(over(vm, card("52:54:00:00:00:01")), nil, "vm-renamed")},
		{place(over(vm, card("52:54:00:00:00:02")), nil, "vm-1")},
		{place(over(machineID(idA), disk, card("52:54:00:00:00:03"), files{"proc/cpuinfo": "processor: 0\nflags\t\t: fpu hypervisor lahf\n"}), nil, "")},
		{place(over(machineID(idA), disk, card("52:54:00:00:00:04"), files{"sys/hypervisor/type": "xen\n"}), nil, "")},

		// Containers on a host, whose files show more or less of it.
		{
			place(over(machineID(idA), docker, mounts("/var/lib/docker/overlay2/l/diff", "/var/lib/docker/containers/"+hex+"/hostname")), nil, "4b74bbbc760a"),
			place(over(docker, files{"proc/self/cgroup": "4:memory:/docker/" + hex + "\n"}), nil, "other"),
			place(files{"proc/self/cgroup": "0::/system.slice/docker-" + hex + ".scope\n"}, nil, "other"),
			place(over(boot("b1"), files{"run/.containerenv": "engine=\"podman\"\nid=\"" + hex + "\"\n"}), nil, "other"),
			place(mounts("/x", "/containers/storage/overlay-containers/"+hex+"/userdata/hostname"), nil, "other"),
		},
		{place(over(docker, mounts("/var/lib/docker/overlay2/"+hex+"/diff", "")), nil, "a")},
		{place(over(docker, mounts("/var/lib/docker/overlay2/"+strings.Repeat("1", 64)+"/diff", "")), nil, "a")},
		// Two of one pod, and of another host.
		{place(over(boot("b1"), mounts("/snapshots/12/fs", "/io.containerd.grpc.v1.cri/sandboxes/"+hex+"/hostname")), nil, "pod")},
		{place(over(boot("b1"), mounts("/snapshots/13/fs", "/io.containerd.grpc.v1.cri/sandboxes/"+hex+"/hostname")), nil, "pod")},
		{place(over(boot("b2"), mounts("/snapshots/13/fs", "/io.containerd.grpc.v1.cri/sandboxes/"+hex+"/hostname")), nil, "pod")},
		// With a whole system in it.
		{place(over(pc, files{"run/systemd/container": "lxc\n"}), nil, "lxc-1")},
		{place(over(pc, files{"run/systemd/container": "lxc\n"}), nil, "lxc-2")},
		{place(pc, env{"container": "systemd-nspawn"}, "lxc-3")},
		{place(docker, nil, "bare")},
		// A session inside.
		{place(over(docker, mounts("/var/lib/docker/overlay2/"+hex+"/diff", "")), env{"SSH_CONNECTION": "10.0.0.9 4711 10.0.0.1 22"}, "a")},
	} {
		for j, p := range line {
			name := p.Name()
			if j == 0 {
				if other, ok := seen[name]; ok {
					t.Errorf("lines %d and %d are one station, %s", other, i, name)
				}
				seen[name] = i
			} else if seen[name] != i || name != line[0].Name() {
				t.Errorf("line %d: place %d is another station: %s, not %s", i, j, name, line[0].Name())
			}
		}
	}
}

func TestNameTellsNothing(t *testing.T) {
	root := over(machineID(idA), disk, card("52:54:00:00:00:01"), files{"sys/class/dmi/id/sys_vendor": "QEMU\n"})
	for kind, e := range map[string]env{
		"computer": nil, "session": {"SSH_CONNECTION": "10.0.0.9 4711 10.0.0.1 22"},
	} {
		name := place(root, e, "secret-host").Name()
		if !regexp.MustCompile("^" + kind + "-[0-9a-f]{32}$").MatchString(name) {
			t.Errorf("%s", name)
		}
		for _, raw := range []string{idA, idA[:8], "secret-host", "10.0.0.9", "525400"} {
			if strings.Contains(name, raw) {
				t.Errorf("%s shows %s", name, raw)
			}
		}
	}
}

// Files that aren't what they should be are as if they weren't there.
func TestDamagedFiles(t *testing.T) {
	pc := over(machineID(idA), disk)
	want := place(pc, nil, "a").Name()
	for what, root := range map[string]files{
		"a session's name leads elsewhere": {"proc/self/cgroup": "0::/user.slice/session-../../x.scope\n", "run/x": "UID=1\nSEAT=s\n"},
		"no control group":                 {"proc/self/cgroup": "\n::\nx"},
		"a short id":                       {"proc/self/cgroup": "0::/docker/4b74\n"},
		"no CPU":                           {"proc/cpuinfo": "flags"},
		"mounts that are none":             {"proc/self/mountinfo": "1 - \n - overlay\n1 2 8:1 / / - \n"},
	} {
		if got := place(over(pc, root), env{"XDG_SESSION_ID": "../7"}, "a").Name(); got != want {
			t.Errorf("%s: %s, not %s", what, got, want)
		}
	}
}

// This process has a station, the same each time.
func TestHere(t *testing.T) {
	if a, b := station.Here().Name(), station.Here().Name(); a != b || len(a) < 33 {
		t.Errorf("%s, %s", a, b)
	}
}
