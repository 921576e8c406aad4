// Package machine tells what this machine is known by: three traits, each of
// another part of it, so that one can change without making it another machine.
//
//   - the system's id, made when it was installed: /etc/machine-id;
//   - the hardware's id: the UUID or serial number that the firmware tells
//     (DMI), on ARM the serial number in the device tree;
//   - the address of a network card, or, on a machine without one, the serial
//     number of the disk that the system is on.
//
// A trait that can't be read, or has a value that makers leave in for want of a
// real one, is absent. Most systems let root alone read the hardware's id: to
// anybody else it is absent, not another one.
package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Trait is one thing that a machine is known by. Its value stays out of logs,
// since whoever knows two can pass for the machine.
type Trait struct {
	Name  string // for people
	Value string `json:"-"` // empty: absent
}

// Format keeps the value out of every log and error.
func (t Trait) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "machine.Trait("+t.Name+")") }

// The traits' names.
const (
	System   = "system id"
	Hardware = "hardware id"
	Network  = "network card"
)

// Traits gives this machine's traits, always in the same order.
func Traits() [3]Trait { return Read(os.DirFS("/")) }

// Read gives the traits of the machine whose root folder this is.
func Read(root fs.FS) [3]Trait {
	return [3]Trait{
		{System, system(root)},
		{Hardware, hardware(root)},
		{Network, network(root)},
	}
}

func system(root fs.FS) string {
	for _, name := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		// It may say "uninitialized" while the system starts for the first time.
		if v, _ := value(root, name); len(v) == 32 && strings.Trim(v, "0123456789abcdef") == "" {
			return "machine-id:" + v
		}
	}
	return ""
}

// hardware takes the first that the firmware tells. One that is there but not
// for this user ends the search: the machine must not be another one for root.
func hardware(root fs.FS) string {
	for _, name := range []string{
		"sys/class/dmi/id/product_uuid", "sys/class/dmi/id/product_serial", "sys/class/dmi/id/board_serial", "proc/device-tree/serial-number",
	} {
		v, readable := value(root, name)
		if !readable {
			return ""
		}
		if v != "" {
			return name[strings.LastIndexByte(name, '/')+1:] + ":" + v
		}
	}
	return ""
}

// value reads a file of one line: "" where there is none, or no real value. It
// is not readable when there is a file that this user may not read.
func value(root fs.FS, name string) (v string, readable bool) {
	v, err := line(root, name)
	if err != nil || dummy(v) {
		return "", !errors.Is(err, fs.ErrPermission)
	}
	return v, true
}

const mostLine = 4 << 10

func line(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, mostLine))
	if err != nil {
		return "", err
	}
	return strings.ToLower(strings.Trim(string(b), " \t\r\n\x00")), nil
}

// dummy says whether a value is one that stands in many machines.
func dummy(v string) bool {
	digits := strings.NewReplacer("-", "", ":", "", " ", "", ".", "").Replace(v)
	if len(digits) < 4 { // "", "0", "na", "n/a", "xxx": no maker numbers machines like this
		return true
	}
	if strings.Trim(digits, digits[:1]) == "" { // 0000…, ffff…
		return true
	}
	switch v {
	case "none", "null", "to be filled by o.e.m.", "to be filled by o.e.m", "default string", "default", "not specified", "not available",
		"not applicable", "not present", "not settable", "unknown", "invalid", "empty", "system serial number", "serial number", "chassis serial number",
		"base board serial number", "board serial number", "system product name", "o.e.m.", "oem", "123456789", "1234567890", "0123456789",
		"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc":
		return true
	}
	return false
}
