package apitools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

var errHelp = errors.New("help is wanted")

// mostFile bounds what is read for one value.
const mostFile = 1 << 20

// inputs are what an operation is given.
type inputs struct {
	op        *operation
	stdin     io.Reader
	flags     *cli.APIFlags
	given     map[string]any
	selection string
}

// parse reads "--name value" and "--name=value"; a truth value needs none.
func (in *inputs) parse(args []string) error {
	in.given = map[string]any{}
	for len(args) > 0 {
		flag, value, has := strings.Cut(args[0], "=")
		name, ok := strings.CutPrefix(flag, "--")
		if !ok || name == "" {
			return in.usage("%q is not a flag", args[0])
		}
		args = args[1:]
		take := func() (string, error) {
			if has {
				return value, nil
			}
			if len(args) == 0 {
				return "", in.usage("--%s needs a value", name)
			}
			value = args[0]
			args = args[1:]
			return value, nil
		}
		if of, found := in.find(name); found {
			if of.of.Name() == "Boolean" && of.of.Elem == nil && !has {
				value, has = "true", true
			}
			text, err := take()
			if err != nil {
				return err
			}
			if err := in.set(of, text); err != nil {
				return err
			}
			continue
		}
		if name == "help" {
			return errHelp
		}
		if name == "json" {
			in.flags.JSON = !has || value == "true"
			continue
		}
		if name == "insecure" {
			in.flags.Insecure = !has || value == "true"
			continue
		}
		text, err := take()
		if err != nil {
			return err
		}
		switch name {
		case "select":
			in.selection = text
		case "url":
			in.flags.URL = text
		case "token":
			in.flags.Token = text
		case "null":
			of, found := in.find(text)
			if !found {
				return in.usage("there is no --%s", text)
			}
			in.given[of.name] = nil
		default:
			return in.usage("there is no --%s", name)
		}
	}
	for _, i := range in.op.inputs {
		if _, ok := in.given[i.name]; i.required && !ok {
			return in.usage("--%s is missing", kebab(i.name))
		}
	}
	return nil
}

func (in *inputs) usage(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, "see quorate api "+in.op.field.Name+" --help", format, args...)
}

// find knows an input by its name in the API, and as flags are written.
func (in *inputs) find(name string) (input, bool) {
	i := slices.IndexFunc(in.op.inputs, func(i input) bool { return i.name == name || kebab(i.name) == name })
	if i < 0 {
		return input{}, false
	}
	return in.op.inputs[i], true
}

func (in *inputs) set(of input, text string) error {
	if strings.HasPrefix(text, "@") && (of.of.Name() == "String" || of.of.Elem != nil || in.object(of.of)) {
		b, err := in.read(text[1:])
		if err != nil {
			return err
		}
		text = string(b)
	}
	if of.of.Elem == nil {
		v, err := in.value(of, of.of, text)
		in.given[of.name] = v
		return err
	}
	// A list: all of it as JSON, or one entry by each flag.
	var list []any
	if strings.HasPrefix(text, "[") {
		if err := exactly(text, &list); err != nil {
			return in.usage("--%s: %v", kebab(of.name), err)
		}
	} else {
		v, err := in.value(of, of.of.Elem, text)
		if err != nil {
			return err
		}
		list = []any{v}
	}
	before, _ := in.given[of.name].([]any)
	in.given[of.name] = append(before, list...)
	return nil
}

func (in *inputs) object(t *ast.Type) bool {
	return in.op.schema.Types[t.Name()].Kind == ast.InputObject
}

func (in *inputs) value(of input, t *ast.Type, text string) (any, error) {
	switch d := in.op.schema.Types[t.Name()]; {
	case d.Kind == ast.InputObject:
		var v map[string]any
		if err := exactly(text, &v); err != nil {
			return nil, in.usage("--%s wants a JSON object: %v", kebab(of.name), err)
		}
		return v, nil
	case d.Kind == ast.Enum:
		want := strings.ToUpper(strings.ReplaceAll(text, "-", "_"))
		if d.EnumValues.ForName(want) == nil {
			var names []string
			for _, v := range d.EnumValues {
				names = append(names, v.Name)
			}
			return nil, in.usage("--%s is one of %s, not %q", kebab(of.name), strings.Join(names, ", "), text)
		}
		return want, nil
	case d.Name == "Int":
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return nil, in.usage("--%s wants a whole number, not %q", kebab(of.name), text)
		}
		return n, nil
	case d.Name == "Float":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, in.usage("--%s wants a number, not %q", kebab(of.name), text)
		}
		return n, nil
	case d.Name == "Boolean":
		v, err := strconv.ParseBool(text)
		if err != nil {
			return nil, in.usage("--%s is true or false, not %q", kebab(of.name), text)
		}
		return v, nil
	}
	return text, nil
}

// exactly reads one JSON value and no more; numbers stay as they are written.
func exactly(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more after the value")
	}
	return nil
}

func (in *inputs) read(path string) ([]byte, error) {
	from := in.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, mostFile+1))
	if err == nil && len(b) > mostFile {
		err = license.Errorf(license.CodeTooLarge, "give less", "%s is larger than %d bytes", path, mostFile)
	}
	return b, err
}

func (in *inputs) variables() map[string]any {
	if in.op.wrapped {
		return map[string]any{"input": in.given}
	}
	return in.given
}

// help tells of one operation.
func (o *operation) help(w io.Writer) error {
	text, _, _ := strings.Cut(o.field.Description, "For example `") // of GraphQL; the command has one of its own
	fmt.Fprintf(w, "Usage: quorate api %s [flags]\n\n%s\n", o.field.Name, strings.TrimSpace(text))
	t := cli.NewTable(w)
	var example []string
	if len(o.inputs) > 0 {
		fmt.Fprintln(t, "\nFlags:")
	}
	for _, i := range o.inputs {
		if i.name == "clientMutationId" {
			continue
		}
		text := strings.Join(strings.Fields(i.text), " ")
		switch {
		case i.required:
			text += " Must be given."
			example = append(example, "--"+kebab(i.name)+" "+sample(o.schema, i.of))
		case i.preset != "" && i.preset != "null" && i.preset != "[]" && i.preset != `""`:
			text += " Default: " + i.preset + "."
		}
		fmt.Fprintf(t, "  --%s %s\t%s\n", kebab(i.name), strings.ReplaceAll(i.of.String(), "!", ""), text)
	}
	fmt.Fprintln(t, "\nFor every operation:")
	fmt.Fprintln(t, "  --null INPUT\tGive null for it, which takes a value away.")
	fmt.Fprintln(t, "  --select FIELDS\tAnswer these fields instead of all that are worth to be seen.")
	fmt.Fprintln(t, "  --json, --url, --token, --insecure\tAs for every command that asks the platform.")
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nExample:\n  quorate api %s\n", strings.Join(append([]string{o.field.Name}, example...), " "))
	return err
}

func sample(s *ast.Schema, t *ast.Type) string {
	switch d := s.Types[t.Name()]; {
	case d.Kind == ast.InputObject:
		return "'{…}'"
	case d.Kind == ast.Enum:
		return d.EnumValues[0].Name
	case d.Name == "Int":
		return "1"
	case d.Name == "Time":
		return "2027-01-01T00:00:00Z"
	case d.Name == "ID":
		return "ID"
	}
	return "TEXT"
}

// kebab writes a name of the API as flags are written: tmrGroup as tmr-group.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
