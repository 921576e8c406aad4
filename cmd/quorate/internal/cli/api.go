package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// APIFlags name the platform that a command talks to.
type APIFlags struct {
	URL      string `help:"The platform's address." default:"http://127.0.0.1:8080" env:"QUORATE_URL"`
	Token    string `help:"An API token of the platform. Better by the environment: others on this machine can see a command's flags." env:"QUORATE_TOKEN"`
	Insecure bool   `help:"Send the API token to another machine over plain http too, where everybody on the way can read it." env:"QUORATE_INSECURE"`
	JSON     bool   `help:"Write JSON." name:"json"`
}

const (
	mostAPIAnswer = 8 << 20
	apiPatience   = 30 * time.Second // for an answer to an operation
)

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
		return nil, f.unanswered(err)
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
		raw, _ := io.ReadAll(io.LimitReader(res.Body, mostAPIAnswer))
		if err := told(raw); err != nil {
			return err
		}
		return license.Errorf(license.CodeUnavailable, "check that --url is a Quorate platform", "%s answered %s", f.URL, res.Status)
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
	ctx, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(f.URL, "/")+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json, application/json")
	res, err := f.send(req)
	if err != nil {
		return perhapsDone(query, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, mostAPIAnswer))
	if err != nil {
		return perhapsDone(query, f.unanswered(err))
	}
	var answer struct{ Data json.RawMessage }
	err = json.Unmarshal(raw, &answer)
	if refusal := told(raw); err == nil && refusal != nil {
		return refusal
	}
	if err != nil || len(answer.Data) == 0 || string(answer.Data) == "null" {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s answered %s without GraphQL", f.URL, res.Status), Fix: "check that --url is a Quorate platform", Err: err}
	}
	return json.Unmarshal(answer.Data, out)
}

// Pages gives all entries of a list, or the first most of them where most isn't
// 0. query has the variables $first and $after, and "page: …" is its one field,
// a page with edges, nodes and pageInfo { hasNextPage endCursor }.
func Pages[T any](ctx context.Context, f APIFlags, query string, variables map[string]any, most int) ([]T, error) {
	const atOnce = 100 // as many as the API gives
	all := []T{}
	asked := maps.Clone(variables)
	if asked == nil {
		asked = map[string]any{}
	}
	for {
		asked["first"] = atOnce
		if most > 0 {
			asked["first"] = min(atOnce, most-len(all))
		}
		var out struct {
			Page struct {
				Edges    []struct{ Node T }
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		if err := f.Query(ctx, query, asked, &out); err != nil {
			return nil, err
		}
		for _, e := range out.Page.Edges {
			all = append(all, e.Node)
		}
		if !out.Page.PageInfo.HasNextPage || len(out.Page.Edges) == 0 || most > 0 && len(all) >= most {
			return all, nil
		}
		asked["after"] = out.Page.PageInfo.EndCursor
	}
}
