package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// unanswered is an error of a call that got no answer: it says why, as far as
// the network tells.
func (f APIFlags) unanswered(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("interrupted before the platform at %s answered", f.URL), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the platform at %s did not answer within %s", f.URL, apiPatience), Fix: "try again; if it persists, look at the platform's log", Err: err}
	}
	cause := err
	if call := (*url.Error)(nil); errors.As(err, &call) {
		cause = call.Err // without the address, which is said already
	}
	return &license.Error{Code: license.CodeUnavailable, Err: err, Fix: "check --url and that the platform runs",
		Message: fmt.Sprintf("the platform at %s does not answer (%s)", f.URL, Printable(license.Clip(cause.Error(), 200)))}
}

// perhapsDone adds to the error of a mutation that may have reached the platform
// what its caller has to know before he repeats it.
func perhapsDone(query string, err error) error {
	var unanswered *license.Error
	var dial *net.OpError
	if !strings.HasPrefix(query, "mutation") || !errors.As(err, &unanswered) || unanswered.Err == nil || (errors.As(err, &dial) && dial.Op == "dial") {
		return err
	}
	e := *unanswered
	e.Message += "; it may have been done nevertheless"
	return &e
}

// told is the error that an answer of the platform has, whether of the API or
// of its other addresses; nil: it has none.
func told(answer []byte) error {
	type extensions struct {
		Code      license.Code
		Fix       string
		RequestID string
		Details   map[string]any
	}
	var body struct {
		Error *struct {
			extensions
			Message string
		}
		Errors []struct {
			Message    string
			Extensions extensions
		}
	}
	if json.Unmarshal(answer, &body) != nil {
		return nil
	}
	var e license.Error
	var with extensions
	switch {
	case len(body.Errors) > 0:
		e.Message, with = body.Errors[0].Message, body.Errors[0].Extensions
	case body.Error != nil && body.Error.Code != "":
		e.Message, with = body.Error.Message, body.Error.extensions
	default:
		return nil
	}
	e.Code, e.Fix, e.Details = cmp.Or(with.Code, license.CodeInternal), with.Fix, with.Details
	if e.Fix == "" && strings.HasPrefix(string(e.Code), "GRAPHQL_") {
		e.Fix = "compare what was given with the API's reference, docs/api.md; an older platform may not know it yet"
	}
	if with.RequestID != "" {
		if e.Details == nil {
			e.Details = map[string]any{}
		}
		e.Details["requestId"] = with.RequestID
	}
	return &e
}
