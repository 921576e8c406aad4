package filetools

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/machine"
)

// Site is where a command runs: what containers can be bound to.
type Site struct {
	Traits func() [3]machine.Trait
	Logger *slog.Logger
}

// BindFlags are for commands that open a container's file.
type BindFlags struct {
	BindFile string `help:"Where the key file of a container that is bound to one lies; left out: where it was created." env:"QUORATE_BIND_FILE" placeholder:"PATH"`
}

// machine gives the traits as containers want them.
func (at Site) machine() (all [3]container.Trait) {
	for i, t := range at.Traits() {
		all[i] = container.Trait(t)
	}
	return all
}

// Open opens a container's file. It says what to do when there is none, and logs
// when the machine has changed.
func (at Site) Open(path string, f BindFlags) (*container.Container, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, license.Errorf(license.CodeNotFound, "create it with: quorate container create", "there is no container at %s", path)
	}
	held, err := container.Open(path, container.WithTraits(at.machine), container.WithKeyFile(f.BindFile))
	if err != nil {
		return nil, err
	}
	if changed := held.Rebound(); len(changed) > 0 {
		at.Logger.Warn("this machine has changed, and the container is bound to it as it is now",
			"container", held.Serial().String(), "changed", strings.Join(changed, ", "))
	}
	return held, nil
}

// boundTo tells what a container is bound to, as --bind has it.
func boundTo(c *container.Container) string {
	switch to, keyFile := c.Bound(); to {
	case container.BindMachine:
		return "machine"
	case container.BindFile:
		return "file:" + keyFile
	}
	return "none"
}
