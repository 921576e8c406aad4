package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// APIFlags name the platform that a command talks to.
type APIFlags struct {
	URL      string `help:"The platform's address." default:"http://127.0.0.1:8080" env:"QUORATE_URL"`
	Token    string `help:"An API token of the platform." env:"QUORATE_TOKEN"`
	Insecure bool   `help:"Send the API token to another machine over plain http too, where everybody on the way can read it." env:"QUORATE_INSECURE"`
	JSON     bool   `help:"Write JSON." name:"json"`
}

const mostAPIAnswer = 8 << 20

func (f APIFlags) check() error {
	if f.Token == "" {
		return license.Errorf(license.CodeUnauthenticated, "set QUORATE_TOKEN or --token to an API token of the platform", "no API token given")
	}
	if u, err := url.Parse(f.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return license.Errorf(license.CodeInvalidInput, "give --url as https://HOST, or http://127.0.0.1:PORT on this machine", "%q is not a platform's address", f.URL)
	}
	if f.Insecure {
		return nil
	}
	return CheckClear("API token", f.URL)
}

// send makes a call with the token. It follows no other address, which might be
// one that the token must not go to.
func (f APIFlags) send(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+f.Token)
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the platform at %s does not answer", f.URL), Fix: "check --url and that the platform runs", Err: err}
	}
	if to := res.Header.Get("Location"); to != "" && res.StatusCode/100 == 3 {
		_ = res.Body.Close()
		return nil, license.Errorf(license.CodeUnavailable, "give --url the platform's own address", "%s sends to another address, %s", f.URL, Printable(license.Clip(to, 200)))
	}
	return res, nil
}

// Export copies one of the platform's exports to w as it comes. An error after
// the first byte means that what was written is not whole.
func (f APIFlags) Export(ctx context.Context, name string, question url.Values, w io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(f.URL, "/")+"/export/"+name+"?"+question.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := f.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var body struct {
			Error struct {
				Code         license.Code
				Message, Fix string
			}
			Errors []struct { // who doesn't know the token answers as the API does
				Message    string
				Extensions struct {
					Code license.Code
					Fix  string
				}
			}
		}
		err := json.NewDecoder(io.LimitReader(res.Body, mostAPIAnswer)).Decode(&body)
		if len(body.Errors) > 0 {
			e := body.Errors[0]
			body.Error.Code, body.Error.Message, body.Error.Fix = e.Extensions.Code, e.Message, e.Extensions.Fix
		}
		if err != nil || body.Error.Code == "" {
			return license.Errorf(license.CodeUnavailable, "check that --url is a Quorate platform", "%s answered %s", f.URL, res.Status)
		}
		return &license.Error{Code: body.Error.Code, Message: body.Error.Message, Fix: body.Error.Fix}
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: "the export broke off", Fix: "ask for it again", Err: err}
	}
	return nil
}

// WriteAnswer writes what an operation answered as all commands do: what its one
// field gives, and of a page its entries as a list.
func WriteAnswer(w io.Writer, data map[string]json.RawMessage) error {
	if len(data) != 1 {
		return WriteJSON(w, data)
	}
	for _, answer := range data {
		var page struct {
			Edges []struct{ Node json.RawMessage }
		}
		if err := json.Unmarshal(answer, &page); err != nil || page.Edges == nil {
			return WriteJSON(w, answer)
		}
		all := []json.RawMessage{}
		for _, e := range page.Edges {
			all = append(all, e.Node)
		}
		return WriteJSON(w, all)
	}
	return nil
}

// Query runs one GraphQL operation and decodes its data into out.
func (f APIFlags) Query(ctx context.Context, query string, variables map[string]any, out any) error {
	if err := f.check(); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(f.URL, "/")+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json, application/json")
	res, err := f.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct {
				Code license.Code
				Fix  string
			}
		}
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, mostAPIAnswer))
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s answered %s without GraphQL", f.URL, res.Status), Fix: "check that --url is a Quorate platform", Err: err}
	}
	if len(answer.Errors) > 0 {
		e := answer.Errors[0]
		code := e.Extensions.Code
		if code == "" {
			code = license.CodeInternal
		}
		fix := e.Extensions.Fix
		if fix == "" && strings.HasPrefix(string(code), "GRAPHQL_") {
			fix = "compare what was given with the API's reference, docs/api.md; an older platform may not know it yet"
		}
		return &license.Error{Code: code, Message: e.Message, Fix: fix}
	}
	return json.Unmarshal(answer.Data, out)
}
