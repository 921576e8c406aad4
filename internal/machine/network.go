package machine

import (
	"bufio"
	"cmp"
	"io"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
)

// network gives the address of a network card. Of several it is the lowest,
// since their numbers and names can depend on the order in which drivers start;
// one that somebody has assigned counts only where no card has its maker's.
func network(root fs.FS) string {
	const folder = "sys/class/net"
	entries, _ := fs.ReadDir(root, folder)
	type card struct {
		assigned int
		address  string
	}
	var cards []card
	for _, e := range entries {
		at := path.Join(folder, e.Name())
		if _, err := fs.Stat(root, path.Join(at, "device")); err != nil {
			continue // a bridge, a tunnel, a container's end
		}
		const ethernet, random, set = "1", "1", "3"
		origin := text(root, at, "addr_assign_type")
		if text(root, at, "type") != ethernet || origin == random {
			continue
		}
		// In a bond all cards show the address of the bond.
		a, err := net.ParseMAC(cmp.Or(text(root, at, "bonding_slave/perm_hwaddr"), text(root, at, "address")))
		if err != nil || len(a) != 6 || dummy(a.String()) {
			continue
		}
		c := card{address: a.String()}
		if a[0]&2 != 0 || origin == set {
			c.assigned = 1
		}
		cards = append(cards, c)
	}
	if len(cards) == 0 {
		return disk(root)
	}
	return "mac:" + slices.MinFunc(cards, func(a, b card) int {
		return cmp.Or(cmp.Compare(a.assigned, b.assigned), cmp.Compare(a.address, b.address))
	}).address
}

// disk gives a number of the disk, or of the mapped volume, that the system is
// on; the file system's UUID where the disk has none.
func disk(root fs.FS) string {
	number := rootDevice(root)
	if number == "" {
		return ""
	}
	const folder = "sys/block"
	disks, _ := fs.ReadDir(root, folder)
	for _, d := range disks {
		at := path.Join(folder, d.Name())
		part := d.Name()
		if text(root, at, "dev") != number {
			if part = partition(root, at, number); part == "" {
				continue
			}
		}
		for _, name := range []string{"serial", "wwid", "device/serial", "device/wwid", "device/cid", "dm/uuid"} {
			if v, _ := value(root, path.Join(at, name)); v != "" {
				return "disk:" + v
			}
		}
		return fileSystem(root, part)
	}
	return ""
}

func partition(root fs.FS, disk, number string) string {
	entries, _ := fs.ReadDir(root, disk)
	for _, e := range entries {
		if text(root, disk, e.Name()+"/dev") == number {
			return e.Name()
		}
	}
	return ""
}

func fileSystem(root fs.FS, device string) string {
	const folder = "dev/disk/by-uuid"
	entries, _ := fs.ReadDir(root, folder)
	for _, e := range entries {
		if target, err := fs.ReadLink(root, path.Join(folder, e.Name())); err == nil && path.Base(target) == device && !dummy(e.Name()) {
			return "filesystem:" + e.Name()
		}
	}
	return ""
}

const mostMounts = 1 << 20

// rootDevice gives the number, such as 8:1, of the device that is mounted at /.
func rootDevice(root fs.FS) (number string) {
	f, err := root.Open("proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(io.LimitReader(f, mostMounts))
	for lines.Scan() {
		// 36 35 98:0 / / rw,noatime …: the last one lies on top.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && fields[4] == "/" {
			number = fields[2]
		}
	}
	return number
}

// text reads a file of one line; "" where there is none.
func text(root fs.FS, at, name string) string {
	v, _ := line(root, path.Join(at, name))
	return v
}
