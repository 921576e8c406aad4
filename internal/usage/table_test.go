package usage_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/usage"
)

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	table, err := usage.NewCSV(&b, []string{"text", "number", "average", "at", "over"})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"plain", `with "quotes", commas`, "two\nlines", "", "-1", "=1+1", "+1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "Zoë"}
	for _, text := range texts {
		if err := table.Row(text, int64(-7), 0.25, time.Date(2026, 11, 22, 8, 0, 0, 0, time.FixedZone("", 3600)), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Row("few"); err == nil {
		t.Error("a short row")
	}
	if err := errors.Join(table.Row("", 0, 1e9, time.Time{}, false), table.Close()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "text,number,average,at,over\r\nplain,-7,0.25,2026-11-22T07:00:00Z,true\r\n") || !strings.HasSuffix(b.String(), "\r\n,0,1000000000,,false\r\n") {
		t.Errorf("%q", b.String())
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != len(texts)+2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, text := range texts {
		got := rows[i+1][0]
		if i >= 4 && i < len(texts)-1 {
			text = "'" + text
		}
		if got != text && got != strings.ReplaceAll(text, "\r", "") {
			t.Errorf("%q instead of %q", got, text)
		}
		if plain := usage.Plain(got); plain != texts[i] && plain != strings.ReplaceAll(texts[i], "\r", "") {
			t.Errorf("%q is read as %q", got, plain)
		}
		if got != "" && strings.ContainsAny(got[:1], "=+-@\t\r") {
			t.Errorf("%q is a formula", got)
		}
	}
}

func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	table := usage.NewJSON(&b, []string{"text", "number", "at", "none"})
	if err := errors.Join(table.Row("=\"\n", 7, noon, time.Time{}), table.Row("x", 8, noon, time.Time{}), table.Close()); err != nil {
		t.Fatal(err)
	}
	if err := table.Row("few"); err == nil {
		t.Error("a short row")
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 2 || lines[1] != `{"text":"x","number":8,"at":"2026-11-22T12:00:00Z","none":null}` {
		t.Errorf("%q", lines)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || row["text"] != "=\"\n" {
		t.Errorf("%v, %v", row, err)
	}
}

func TestMetrics(t *testing.T) {
	var b bytes.Buffer
	m := usage.NewMetrics(&b)
	if err := errors.Join(
		m.Family("quorate_licenses_taken", usage.Gauge, "Taken \\ now.\n"),
		m.Sample(5, usage.Label{Name: "name", Value: "a \"b\" \\ \nc\xff"}, usage.Label{Name: "x", Value: ""}),
		m.Family("quorate_denials", usage.Counter, "Denials."),
		m.Sample(1e15),
		m.Close()); err != nil {
		t.Fatal(err)
	}
	want := "# TYPE quorate_licenses_taken gauge\n# HELP quorate_licenses_taken Taken \\\\ now.\\n\n" +
		"quorate_licenses_taken{name=\"a \\\"b\\\" \\\\ \\nc\uFFFD\",x=\"\"} 5\n" +
		"# TYPE quorate_denials counter\n# HELP quorate_denials Denials.\nquorate_denials_total 1000000000000000\n# EOF\n"
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}
