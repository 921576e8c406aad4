package machine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	systemID = "3d1219c7c4c5404aaa1f6d2a48adfda4"
	uuid     = "4C4C4544-0042-3510-8052-B4C04F564433"
	address  = "3c:ec:ef:12:34:56"
)

// tree is a made-up system: files by path.
type tree map[string]string

// office is a usual machine.
func office() tree {
	return tree{
		"etc/machine-id":                      systemID + "\n",
		"sys/class/dmi/id/product_uuid":       uuid + "\n",
		"sys/class/dmi/id/product_serial":     "7XK2R93\n",
		"sys/class/dmi/id/board_serial":       "BS12345\n",
		"sys/class/net/lo/address":            "00:00:00:00:00:00\n",
		"sys/class/net/lo/type":               "772\n",
		"sys/class/net/eno1/address":          address + "\n",
		"sys/class/net/eno1/type":             "1\n",
		"sys/class/net/eno1/device/vendor":    "0x8086\n",
		"sys/class/net/br0/address":           "02:42:aa:bb:cc:dd\n",
		"sys/class/net/br0/type":              "1\n",
		"proc/self/mountinfo":                 "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n23 22 0:21 / /proc rw - proc proc rw\n",
		"sys/block/sda/dev":                   "8:0\n",
		"sys/block/sda/sda1/dev":              "8:1\n",
		"sys/block/sda/sda2/dev":              "8:2\n",
		"sys/block/sda/device/wwid":           "naa.5000c500a1b2c3d4\n",
		"sys/block/nvme0n1/dev":               "259:0\n",
		"sys/block/nvme0n1/serial":            "S4EWNX0R\n",
		"sys/block/nvme0n1/nvme0n1p1/dev":     "259:1\n",
		"sys/block/dm-0/dev":                  "253:0\n",
		"sys/block/dm-0/dm/uuid":              "LVM-abcdEFGH\n",
		"sys/block/vda/dev":                   "254:0\n",
		"sys/class/net/eno1/addr_assign_type": "0\n",
	}
}

func (t tree) fs() fs.FS {
	m := fstest.MapFS{}
	for name, content := range t {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			m[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
			continue
		}
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return m
}

// card adds a network card.
func (t tree) card(name, address string, more ...string) {
	at := "sys/class/net/" + name + "/"
	t[at+"address"], t[at+"type"], t[at+"device/vendor"] = address+"\n", "1\n", "0x8086\n"
	for i := 0; i < len(more); i += 2 {
		t[at+more[i]] = more[i+1]
	}
}

func (t tree) without(prefix string) {
	maps.DeleteFunc(t, func(name, _ string) bool { return strings.HasPrefix(name, prefix) })
}

func TestRead(t *testing.T) {
	id, dmi, mac := "machine-id:"+systemID, "product_uuid:"+strings.ToLower(uuid), "mac:"+address
	for name, c := range map[string]struct {
		change func(tree)
		want   [3]string
	}{
		"usual":               {func(tree) {}, [3]string{id, dmi, mac}},
		"nothing":             {func(m tree) { clear(m) }, [3]string{}},
		"id of D-Bus":         {func(m tree) { m["var/lib/dbus/machine-id"] = m["etc/machine-id"]; delete(m, "etc/machine-id") }, [3]string{id, dmi, mac}},
		"id empty":            {func(m tree) { m["etc/machine-id"] = "" }, [3]string{"", dmi, mac}},
		"id uninitialized":    {func(m tree) { m["etc/machine-id"] = "uninitialized\n" }, [3]string{"", dmi, mac}},
		"id all zeros":        {func(m tree) { m["etc/machine-id"] = strings.Repeat("0", 32) }, [3]string{"", dmi, mac}},
		"id too long":         {func(m tree) { m["etc/machine-id"] = systemID + systemID }, [3]string{"", dmi, mac}},
		"UUID in lower case":  {func(m tree) { m["sys/class/dmi/id/product_uuid"] = strings.ToLower(uuid) }, [3]string{id, dmi, mac}},
		"UUID a dummy":        {func(m tree) { m["sys/class/dmi/id/product_uuid"] = "03000200-0400-0500-0006-000700080009\n" }, [3]string{id, "product_serial:7xk2r93", mac}},
		"no UUID":             {func(m tree) { delete(m, "sys/class/dmi/id/product_uuid") }, [3]string{id, "product_serial:7xk2r93", mac}},
		"board alone":         {func(m tree) { m.without("sys/class/dmi/id/product") }, [3]string{id, "board_serial:bs12345", mac}},
		"ARM":                 {func(m tree) { m.without("sys/class/dmi"); m["proc/device-tree/serial-number"] = "10000000f1e2d3c4\x00" }, [3]string{id, "serial-number:10000000f1e2d3c4", mac}},
		"no hardware id":      {func(m tree) { m.without("sys/class/dmi") }, [3]string{id, "", mac}},
		"lower address first": {func(m tree) { m.card("eno2", "3c:ec:ef:12:34:55") }, [3]string{id, dmi, "mac:3c:ec:ef:12:34:55"}},
		"assigned address":    {func(m tree) { m.card("usb0", "02:00:00:00:00:01") }, [3]string{id, dmi, mac}},
		"set address":         {func(m tree) { m.card("eno0", "00:00:00:00:00:01", "addr_assign_type", "3\n") }, [3]string{id, dmi, mac}},
		"assigned alone":      {func(m tree) { m.without("sys/class/net/eno1"); m.card("eth0", "02:FC:00:00:00:01") }, [3]string{id, dmi, "mac:02:fc:00:00:00:01"}},
		"random address": {func(m tree) {
			m.without("sys/class/net/eno1")
			m.card("eth0", "3c:ec:ef:00:00:01", "addr_assign_type", "1\n")
		}, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"bond":               {func(m tree) { m.card("eno1", "3c:ec:ef:00:00:01", "bonding_slave/perm_hwaddr", address+"\n") }, [3]string{id, dmi, mac}},
		"address of zeros":   {func(m tree) { m.card("eno1", "00:00:00:00:00:00") }, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"address no address": {func(m tree) { m.card("eno1", "hello") }, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"InfiniBand":         {func(m tree) { m["sys/class/net/eno1/type"] = "32\n" }, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"disk":               {func(m tree) { m.without("sys/class/net/") }, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"NVMe":               {func(m tree) { m.without("sys/class/net/"); m.root("259:1") }, [3]string{id, dmi, "disk:s4ewnx0r"}},
		"mapped":             {func(m tree) { m.without("sys/class/net/"); m.root("253:0") }, [3]string{id, dmi, "disk:lvm-abcdefgh"}},
		"file system": {func(m tree) {
			m.without("sys/class/net/")
			m.root("254:0")
			m["dev/disk/by-uuid/11111111-1111-1111-1111-111111111111"] = "-> ../../vda"
			m["dev/disk/by-uuid/5f3c9b2e-70d1-4a8e-9a55-0c1d2e3f4a5b"] = "-> ../../vda"
			m["dev/disk/by-uuid/6a3c9b2e-70d1-4a8e-9a55-0c1d2e3f4a5b"] = "-> ../../sda2"
		}, [3]string{id, dmi, "filesystem:5f3c9b2e-70d1-4a8e-9a55-0c1d2e3f4a5b"}},
		"overlay": {func(m tree) { m.without("sys/class/net/"); m.root("0:42") }, [3]string{id, dmi, ""}},
		"last mount": {func(m tree) {
			m.without("sys/class/net/")
			m["proc/self/mountinfo"] = "1 1 0:1 / / rw - rootfs rootfs rw\n" + m["proc/self/mountinfo"]
		}, [3]string{id, dmi, "disk:naa.5000c500a1b2c3d4"}},
		"broken mounts": {func(m tree) { m.without("sys/class/net/"); m["proc/self/mountinfo"] = "1 2 3\n\n" }, [3]string{id, dmi, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			m := office()
			c.change(m)
			for i, got := range Read(m.fs()) {
				if got.Value != c.want[i] {
					t.Errorf("%s is %q, want %q", got.Name, got.Value, c.want[i])
				}
			}
		})
	}
}

func (t tree) root(number string) {
	t["proc/self/mountinfo"] = "22 1 " + number + " / / rw,relatime shared:1 - ext4 /dev/root rw\n"
}

// TestDummies: what makers leave in for want of a number is no trait.
func TestDummies(t *testing.T) {
	for _, v := range []string{
		"", "  \n", "0", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "To Be Filled By O.E.M.", "To be filled by O.E.M.\n",
		"None", "none", "Default string", "Not Specified", "System Serial Number", "N/A", "xxxx", "..........", "123456789", "0123456789",
		"03000200-0400-0500-0006-000700080009", "\x00\x00\x00",
	} {
		m := office()
		m.without("sys/class/dmi")
		m["sys/class/dmi/id/product_uuid"] = v
		if got := Read(m.fs())[1].Value; got != "" {
			t.Errorf("%q counts as %q", v, got)
		}
	}
}

// denied refuses one file.
type denied struct {
	fs.FS
	name string
}

func (d denied) Open(name string) (fs.File, error) {
	if name == d.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.FS.Open(name)
}

// TestNotReadable: a hardware id that root alone may read is absent to others,
// though there are other ids that they may read.
func TestNotReadable(t *testing.T) {
	if got := Read(denied{office().fs(), "sys/class/dmi/id/product_uuid"})[1].Value; got != "" {
		t.Errorf("the hardware id is %q", got)
	}
}

// TestFolder reads a tree on disk, with links as the system has them.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, content := range office() {
		name = filepath.Join(dir, strings.Replace(name, "sys/class/net/eno1", "sys/devices/pci0/net/eno1", 1))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../devices/pci0/net/eno1", filepath.Join(dir, "sys/class/net/eno1")); err != nil {
		t.Fatal(err)
	}
	if got := Read(os.DirFS(dir)); got[2].Value != "mac:"+address || got[0].Value == "" || got[1].Value == "" {
		t.Errorf("the traits are %q, %q, %q", got[0].Value, got[1].Value, got[2].Value)
	}
}

// TestThisMachine: traits don't change from one moment to the next.
func TestThisMachine(t *testing.T) {
	before := Traits()
	if before != Traits() {
		t.Error("the traits changed")
	}
}

// TestValuesStay prints and logs traits.
func TestValuesStay(t *testing.T) {
	traits := Read(office().fs())
	var log bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q", "%d"} {
		fmt.Fprintf(&log, verb+verb, traits, traits[0])
	}
	if b, err := json.Marshal(traits); err == nil {
		log.Write(b)
	}
	slog.New(slog.NewTextHandler(&log, nil)).Info("traits", "all", traits, "one", traits[1])
	slog.New(slog.NewJSONHandler(&log, nil)).Info("traits", "all", traits, "one", traits[1])
	for _, tr := range traits {
		for _, form := range []string{tr.Value[len(tr.Value)-8:], fmt.Sprintf("%x", tr.Value[len(tr.Value)-8:])} {
			if strings.Contains(log.String(), form) {
				t.Errorf("the %s shows in %s", tr.Name, log.String())
			}
		}
	}
}

// FuzzRead gives each file anything.
func FuzzRead(f *testing.F) {
	names := []string{
		"etc/machine-id", "sys/class/dmi/id/product_uuid", "sys/class/net/eno1/address", "sys/class/net/eno1/addr_assign_type",
		"proc/self/mountinfo", "sys/block/sda/sda2/dev", "sys/block/sda/device/wwid",
	}
	for i, name := range names {
		f.Add(i, []byte(office()[name]))
	}
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		if i < 0 || i >= len(names) {
			return
		}
		m := office()
		m[names[i]] = string(b)
		if i > 3 {
			m.without("sys/class/net")
		}
		for _, tr := range Read(m.fs()) {
			if tr.Value != "" && len(tr.Value) < 8 || len(tr.Value) > mostLine+32 {
				t.Errorf("the %s is %q", tr.Name, tr.Value)
			}
		}
	})
}
