package offline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// checkTimes refuses certificates that the platform of these containers didn't
// sign for them. Which are stale only their containers know.
func checkTimes(times []armor.Part, containers [license.Backends]held) error {
	for _, p := range times {
		c, ok := containerOf(p, containers)
		if !ok {
			return license.Errorf(license.CodeTimeForged, "apply it to the group that it is for",
				"the time certificate is for the container %s, which is no backend of this group", p.Serial)
		}
		if _, err := seal.OpenTime(p.Message, c.Root); err != nil {
			return err
		}
	}
	return nil
}

func containerOf(p armor.Part, containers [license.Backends]held) (held, bool) {
	for _, c := range containers {
		if c.Serial == p.Serial {
			return c, true
		}
	}
	return held{}, false
}

// certify hands each certificate to its container. All are tried. One that the
// container can't use, being stale or coming before the machine's clock was set
// right, is an error only where no update comes with it.
func (a *Applier) certify(ctx context.Context, times []armor.Part, containers [license.Backends]held, updates bool, tell func(Step)) error {
	var errs []error
	for _, p := range times {
		c, _ := containerOf(p, containers)
		var err error
		if !c.Clock.Certified.Equal(p.At) { // else it was taken before
			err = a.group.Certify(ctx, [][]byte{p.Message})
		}
		errs = append(errs, told(p, c.position, err, updates, tell))
	}
	return errors.Join(errs...)
}

// certifyOne does the same for a container whose server doesn't run.
func certifyOne(c Container, times []armor.Part, updates bool, tell func(Step)) error {
	for _, p := range times { // there is one at most
		var err error
		if p.Serial != c.Serial() || !c.Moment().Certified.Equal(p.At) {
			err = c.Certify(p.Message)
		}
		if err := told(p, 0, err, updates, tell); err != nil {
			return err
		}
	}
	return nil
}

// told tells what became of a certificate, and gives the error that ends the
// apply.
func told(p armor.Part, position int, err error, updates bool, tell func(Step)) error {
	switch {
	case err == nil:
		tell(Step{Kind: Certified, Position: position, Message: fmt.Sprintf("time of %s certified: %s", p.Serial, p.At.UTC().Format(time.RFC3339))})
	case updates && (license.CodeOf(err) == license.CodeTimeStale || license.CodeOf(err) == license.CodeClockSetBack):
		tell(Step{Kind: Warned, Position: position, Message: fmt.Sprintf("warning: the time of %s is not certified: %s; its updates are installed all the same", p.Serial, license.Public(err).Error())})
	default:
		return err
	}
	return nil
}
