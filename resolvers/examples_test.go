package resolvers_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWorkedExamples runs the examples of the guide against a real server, and
// compares what it answers with what the guide says.
func TestWorkedExamples(t *testing.T) {
	text := guide(t)
	begin, end := strings.Index(text, "## Worked examples"), strings.Index(text, "<!-- What follows")
	if begin < 0 || end < begin {
		t.Fatal("the guide has no worked examples")
	}
	w := newWorld(t)
	web := httptest.NewServer(w.serve("owner"))
	t.Cleanup(web.Close)
	examples := regexp.MustCompile("(?s)### (\\d+)\\. [^\n]*\n\n```graphql\n(.*?)```\n\n```json\n(.*?)```\n").FindAllStringSubmatchIndex(text[begin:end], -1)
	if len(examples) < 10 {
		t.Errorf("only %d examples", len(examples))
	}
	out, last := "", begin
	for _, m := range examples {
		part := func(i int) string { return text[begin+m[2*i] : begin+m[2*i+1]] }
		got := tidy(t, answerTo(t, web.URL, part(2)))
		if want := part(3); got != want && !rewrite() {
			t.Errorf("example %s:\n%s\ngot:\n%s\nwant:\n%s", part(1), part(2), got, want)
		}
		out += text[last:begin+m[6]] + got
		last = begin + m[7]
	}
	if rewrite() {
		if err := os.WriteFile("../docs/api.md", []byte(text[:begin]+out+text[last:]), 0o644); err != nil { //nolint:gosec // G306: of the repository
			t.Fatal(err)
		}
	}
}

// answerTo asks as a client does; of a subscription it takes the first event.
func answerTo(t *testing.T, url, query string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/graphql-response+json")
	events := strings.HasPrefix(query, "subscription")
	if events {
		q.Header.Set("Accept", "text/event-stream")
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if !events {
		all, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.HasPrefix(data, "{") {
			return []byte(data)
		}
	}
	t.Fatal("no event came")
	return nil
}
