package station

import (
	"strings"
)

// container gives the mark of the container that the program runs in, "" in
// none, and whether no other container anywhere has it.
func (p Place) container() (mark string, unique bool) {
	// Engines number containers at random. The control group's path names it
	// where its name space is the host's.
	for line := range p.lines("proc/self/cgroup") {
		path := line[strings.LastIndexByte(line, ':')+1:]
		unit := strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".scope")
		if id := digest(unit[strings.LastIndexByte(unit, '-')+1:]); id != "" {
			return "id " + id, true
		}
	}
	upper, named := "", ""
	for line := range p.lines("proc/self/mountinfo") {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		switch fields[4] {
		case "/":
			// The folder that takes the container's changes is its alone, on
			// its host.
			upper = ""
			if kind := strings.Fields(after); len(kind) > 0 && strings.HasSuffix(kind[0], "overlay") {
				for option := range strings.SplitSeq(kind[len(kind)-1], ",") {
					if v, ok := strings.CutPrefix(option, "upperdir="); ok {
						upper = v
					}
				}
			}
		case "/etc/hostname":
			// …/docker/containers/ID/hostname, …/overlay-containers/ID/userdata/hostname.
			// In Kubernetes it is the pod's, which has several containers.
			if strings.Contains(fields[3], "containers/") && !strings.Contains(fields[3], "/sandboxes/") {
				for part := range strings.SplitSeq(fields[3], "/") {
					if id := digest(part); id != "" {
						named = id
					}
				}
			}
		}
	}
	switch {
	case named != "":
		return "id " + named, true
	case upper != "" && digest(lastFolder(upper)) != "":
		return "upper " + digest(lastFolder(upper)), true
	case upper != "":
		return "upper " + upper, false
	}
	// Engines that show none of that, and containers with a whole system: these
	// have an id and a name of their own.
	engine := p.line("run/systemd/container")
	if engine == "" && !p.exists(".dockerenv") && !p.exists("run/.containerenv") && p.Env("container") == "" {
		return "", false
	}
	if id := digest(p.field("run/.containerenv", "id")); id != "" {
		return "id " + id, true
	}
	return strings.Join(append(p.machine(), "name", p.Host), " "), false
}

// lastFolder gives the folder of docker's …/overlay2/ID/diff.
func lastFolder(upper string) string {
	upper = upper[:max(0, strings.LastIndexByte(upper, '/'))]
	return upper[strings.LastIndexByte(upper, '/')+1:]
}

// digest gives s back when it is a number of 64 hexadecimal digits.
func digest(s string) string {
	if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}
