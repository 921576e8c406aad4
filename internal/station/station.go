// Package station names the station that a program runs on: what programs with
// a shared license share it by.
//
// A station is a user session of a computer, a session of a terminal server, a
// container, or a computer or virtual machine itself (for services and what else
// belongs to no session). Its name is made of what the system tells every program
// of the station alike, whoever runs it: never of an address that a server is
// reached by, so local and network accesses of a station have the same one.
//
// Where a system runs systemd-logind its sessions count, found by the program's
// control group as logind itself finds them: that also works where the
// environment was cleared, as under sudo, and for programs that the user's
// service manager starts. All sessions of a user at one seat are one: it is one
// person at one screen. Elsewhere the environment tells of remote desktops and of
// SSH connections. SSH's shells, panes and background jobs of one connection are
// one station, therefore the connection counts and not the leader of a terminal's
// session.
//
// Machines are known by their system id. Virtual machines are often copied with
// it, so there the network card's address counts as well; in a container the
// container's mark does.
//
// The name is a keyed digest: it tells two stations apart, and tells no one the
// machine's id, a user's or an address.
package station

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/machine"
)

// Place is where a program runs, by what the system tells it.
type Place struct {
	Root fs.FS                    // the system's root folder
	Env  func(name string) string // the program's environment
	Host string                   // the computer's name
	// Session is the number of the user session where the system counts them by
	// itself, as Windows does; "0" is that of services; "": it doesn't.
	Session string
}

// Here is where this program runs.
func Here() Place {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return Place{Root: os.DirFS("/"), Env: os.Getenv, Host: host, Session: systemSession()}
}

// Kind says what sort of station it is.
type Kind string

// The kinds of stations.
const (
	Computer  Kind = "computer"  // or virtual machine: what runs in no session
	Seat      Kind = "seat"      // a user at a screen of the computer
	Session   Kind = "session"   // of a terminal server, or over SSH
	User      Kind = "user"      // what a user's services and timed jobs run in
	Container Kind = "container" // and sessions in it
)

// what the name is derived under: another text gives other names to all.
const domain = "quorate station 1"

// Name gives the station's name: its kind and 32 hexadecimal digits. Programs of
// one station get the same one, programs of two get two.
func (p Place) Name() string {
	kind, parts := p.parts()
	mac := hmac.New(sha256.New, []byte(domain))
	for _, part := range append([]string{string(kind)}, parts...) {
		_, _ = mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // G115: of files that are bounded
		_, _ = mac.Write([]byte(part))
	}
	return string(kind) + "-" + hex.EncodeToString(mac.Sum(nil)[:16])
}

func (p Place) parts() (Kind, []string) {
	if mark, unique := p.container(); mark != "" {
		// logind of the host is not to be seen in here.
		_, session := p.told()
		if unique {
			return Container, []string{mark, session}
		}
		return Container, append(p.host(), mark, session)
	}
	kind, session := p.session()
	return kind, append(p.machine(), session)
}

// machine are the parts that this computer or virtual machine is known by, all
// of which every user may read.
func (p Place) machine() []string {
	traits := machine.Read(p.Root)
	system, network := traits[0].Value, traits[2].Value
	switch {
	case system == "":
		return []string{"host", p.Host, ""}
	case p.virtual():
		return []string{"system", system, network}
	}
	return []string{"system", system, ""}
}

// host are parts that tell the hosts of containers apart.
func (p Place) host() []string {
	if boot := p.line("proc/sys/kernel/random/boot_id"); boot != "" {
		return []string{"boot", boot}
	}
	return []string{"host", p.Host}
}

// virtual says whether this is a virtual machine.
func (p Place) virtual() bool {
	if p.line("sys/hypervisor/type") != "" {
		return true
	}
	made := strings.ToLower(p.line("sys/class/dmi/id/sys_vendor") + "\n" + p.line("sys/class/dmi/id/product_name"))
	for _, maker := range []string{
		"qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "bochs", "parallels", "virtual machine", "amazon ec2", "google compute", "openstack", "bhyve",
	} {
		if strings.Contains(made, maker) {
			return true
		}
	}
	for line := range p.lines("proc/cpuinfo") {
		if strings.HasPrefix(line, "flags") {
			return strings.Contains(line+" ", " hypervisor ")
		}
	}
	return false
}

// session tells of the session that the program runs in.
func (p Place) session() (Kind, string) {
	for line := range p.lines("proc/self/cgroup") {
		// 0::/user.slice/user-1000.slice/session-3.scope
		path := line[strings.LastIndexByte(line, ':')+1:]
		for _, unit := range strings.Split(path, "/") {
			if id, ok := between(unit, "session-", ".scope"); ok && plain(id) {
				return p.login(id)
			}
			if uid, ok := between(unit, "user@", ".service"); ok && plain(uid) {
				// Started by the user's service manager, as desktops do it.
				if id := p.field("run/systemd/users/"+uid, "DISPLAY"); plain(id) {
					return p.login(id)
				}
				return User, "user " + uid
			}
		}
	}
	return p.told()
}

// login tells of a session of logind.
func (p Place) login(id string) (Kind, string) {
	file := "run/systemd/sessions/" + id
	uid, seat := p.field(file, "UID"), p.field(file, "SEAT")
	switch {
	case uid != "" && seat != "" && p.field(file, "REMOTE") != "1":
		return Seat, "seat " + seat + " user " + uid
	case uid != "" && strings.HasPrefix(p.field(file, "CLASS"), "background"):
		return User, "user " + uid // a timed job: each one is a session to logind
	}
	return Session, "session " + id
}

// told tells of the session by the environment, and by the system's own number.
func (p Place) told() (Kind, string) {
	if p.Session != "" {
		if p.Session == "0" {
			return Computer, ""
		}
		return Session, "session " + p.Session
	}
	// A remote desktop may have been started from SSH, and inherits its variables.
	for _, name := range []string{"XRDP_SESSION", "X2GO_SESSION", "NXSESSIONID", "VNCDESKTOP"} {
		if v := p.Env(name); v != "" {
			if name == "XRDP_SESSION" { // says only that it is one
				v = p.Env("DISPLAY")
			}
			return Session, name + " " + v
		}
	}
	if id := p.Env("XDG_SESSION_ID"); plain(id) {
		return p.login(id)
	}
	for _, name := range []string{"SSH_CONNECTION", "SESSIONNAME"} {
		if v := p.Env(name); v != "" {
			return Session, name + " " + v
		}
	}
	return Computer, ""
}

// plain says whether an id can be part of a file's name.
func plain(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func between(s, before, after string) (string, bool) {
	s, ok := strings.CutPrefix(s, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, after)
}

// field gives a variable of a file of NAME=value lines.
func (p Place) field(file, name string) string {
	for line := range p.lines(file) {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			if unquoted, err := strconv.Unquote(v); err == nil {
				return unquoted
			}
			return v
		}
	}
	return ""
}

const mostFile = 1 << 20

// lines gives the lines of a file; none where it can't be read.
func (p Place) lines(file string) func(func(string) bool) {
	return func(yield func(string) bool) {
		f, err := p.Root.Open(file)
		if err != nil {
			return
		}
		defer func() { _ = f.Close() }()
		s := bufio.NewScanner(io.LimitReader(f, mostFile))
		for s.Scan() {
			if !yield(s.Text()) {
				return
			}
		}
	}
}

func (p Place) line(file string) string {
	for line := range p.lines(file) {
		return strings.Trim(line, " \t\r\x00")
	}
	return ""
}

func (p Place) exists(file string) bool {
	_, err := fs.Stat(p.Root, file)
	return err == nil
}
