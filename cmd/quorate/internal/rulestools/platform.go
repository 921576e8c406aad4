package rulestools

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

// savedSet is a version of the rules at the platform.
type savedSet struct {
	Version   int    `json:"version"`
	SavedBy   string `json:"savedBy"`
	CreatedAt string `json:"createdAt"`
	Digest    string `json:"digest"`
	Text      string `json:"-"`
}

// placeInput names a TMR group or a container to the platform.
func placeInput(idOrSerial string) map[string]any {
	serial, err := license.ParseSerial(idOrSerial)
	if strings.HasPrefix(idOrSerial, "con_") || (err == nil && serial.Kind() != license.KindVirtual) {
		return map[string]any{"container": idOrSerial}
	}
	return map[string]any{"tmrGroup": idOrSerial}
}

func (c *Show) fromPlatform(ctx context.Context) (*rules.Set, *savedSet, error) {
	saved, err := newest(ctx, c.APIFlags, c.Place, c.Revision)
	if err != nil {
		return nil, nil, err
	}
	if saved == nil {
		return nil, nil, license.Errorf(license.CodeNotFound, "save some with quorate rules save, or check --place and --revision", "the platform has no such rules for %s", c.Place)
	}
	set, err := rules.Parse(saved.Text)
	return set, saved, err
}

// newest gives a version of a place's rules, 0 for the newest; nil: there is none.
func newest(ctx context.Context, api cli.APIFlags, place string, version int) (*savedSet, error) {
	variables := placeInput(place)
	if version != 0 {
		variables["version"] = version
	}
	var out struct {
		RuleSet *struct {
			Version                          int
			SavedBy, CreatedAt, Digest, Text string
		}
	}
	err := api.Query(ctx, `query($tmrGroup: ID, $container: ID, $version: Int) {
		ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) { version savedBy createdAt digest text } }`, variables, &out)
	if err != nil || out.RuleSet == nil {
		return nil, err
	}
	s := out.RuleSet
	return &savedSet{s.Version, s.SavedBy, s.CreatedAt, s.Digest, s.Text}, nil
}

// reportView is the platform's report.
type reportView struct {
	Since             string         `json:"since,omitempty"`
	Checked           int            `json:"checked"`
	Complete          bool           `json:"complete"`
	RefusedCount      int            `json:"refusedCount"`
	Refused           []refusalView  `json:"refused"`
	Unsure            int            `json:"unsure"`
	UnknownQuantities []string       `json:"unknownQuantities"`
	ByRule            map[string]int `json:"byRule,omitempty"`
}

type refusalView struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

const reportFields = `since checked complete refusedCount refused { rule reason } unsure unknownQuantities`

// checkAt has the platform check rules against the grants of the last 30 days.
func checkAt(ctx context.Context, api cli.APIFlags, place, text string) (reportView, error) {
	variables := placeInput(place)
	variables["text"] = text
	var out struct{ CheckRules reportView }
	err := api.Query(ctx, `query($tmrGroup: ID, $container: ID, $text: String!) {
		checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) { `+reportFields+` } }`, variables, &out)
	return out.CheckRules, err
}

// Save makes rules count.
type Save struct {
	cli.APIFlags
	File     string `arg:"" help:"The file of rules; - for standard input. An empty one lets everybody in."`
	Place    string `required:"" help:"The TMR group (131-4837572) or container (130-1874829) that they are for." placeholder:"SERIAL"`
	Revision *int   `help:"The version that they were made from; without it, whatever is there now is replaced."`
	Confirm  bool   `help:"Save them though they would have refused programs of the last 30 days."`
}

// Help has the examples.
func (Save) Help() string {
	return `The platform first checks them against the grants of the last 30 days. The
place's servers have them a second later; one with a file of its own
(quorate server --rules) goes by that. Exit status 0 when they were saved,
1 when they would have refused somebody and need --confirm.

Examples:
  quorate rules save rules.txt --place 131-4837572
  quorate rules save rules.txt --place 131-4837572 --revision 3 --confirm`
}

// Run saves them.
func (c *Save) Run(ctx context.Context, std cli.Streams) error {
	set, err := read(std, c.File)
	if err != nil {
		return err
	}
	expected := 0
	if c.Revision != nil {
		expected = *c.Revision
	} else {
		now, err := newest(ctx, c.APIFlags, c.Place, 0)
		if err != nil {
			return err
		}
		if now != nil {
			expected = now.Version
		}
	}
	input := placeInput(c.Place)
	input["text"], input["expectedVersion"], input["confirm"] = set.Text(), expected, c.Confirm
	var out struct {
		SaveRules struct {
			Saved   bool
			RuleSet *struct {
				Version                    int
				SavedBy, CreatedAt, Digest string
			}
			Report reportView
		}
	}
	if err := c.Query(ctx, `mutation($input: SaveRulesInput!) {
		saveRules(input: $input) { saved ruleSet { version savedBy createdAt digest } report { `+reportFields+` } } }`,
		map[string]any{"input": input}, &out); err != nil {
		return err
	}
	got := out.SaveRules
	if c.JSON {
		var saved *savedSet
		if s := got.RuleSet; s != nil {
			saved = &savedSet{s.Version, s.SavedBy, s.CreatedAt, s.Digest, ""}
		}
		err = cli.WriteJSON(std.Out, struct {
			Saved  bool       `json:"saved"`
			Now    *savedSet  `json:"now,omitempty"`
			Report reportView `json:"report"`
		}{got.Saved, saved, got.Report})
	} else {
		err = got.Report.write(std.Out, "grants of the last 30 days")
		if err == nil && got.Saved && got.RuleSet != nil {
			_, err = fmt.Fprintf(std.Out, "saved as version %d\n", got.RuleSet.Version)
		} else if err == nil && !got.Saved {
			_, err = fmt.Fprintln(std.Out, "not saved: repeat it with --confirm if that is meant")
		}
	}
	if err == nil && !got.Saved {
		err = cli.ExitStatus(1)
	}
	return err
}
