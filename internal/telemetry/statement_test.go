package telemetry_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/telemetry"
)

func TestStatementsWithoutValues(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT `t1`.`id` FROM `t1` WHERE `t1`.`n` = ? LIMIT 51":          "SELECT `t1`.`id` FROM `t1` WHERE `t1`.`n` = ? LIMIT ?",
		`SELECT "a""b", c2 FROM "t" WHERE x = $1 AND y IN ($2, $13)`:      `SELECT "a""b", c2 FROM "t" WHERE x = $1 AND y IN ($2, $13)`,
		"UPDATE t SET name = 'it''s secret' , n=-12.5e3 WHERE id = 'org'": "UPDATE t SET name = ? , n=-? WHERE id = ?",
		"SELECT\n\t1 -- secret\n FROM t /* secret */ WHERE a=0x1F":        "SELECT ? FROM t WHERE a=?",
		`SELECT E'it\'s secret', 'a'`:                                     "SELECT E?",
		`SELECT 'C:\' , a`:                                                "SELECT ? , a",
		"SELECT $x$secret$x$, 1":                                          "SELECT ?",
		"SELECT $$secret$$":                                               "SELECT ?",
		"SELECT 'secret":                                                  "SELECT ?",
		`SELECT "secret`:                                                  "SELECT ",
		"SELECT a /* /* secret */ secret */":                              "SELECT a ",
		"SELECT a::jsonb->>'secret' || $1::text":                          "SELECT a::jsonb->>? || $1::text",
		"SELECT größe2 FROM t":                                            "SELECT größe2 FROM t",
		"":                                                                "",
	} {
		if got := telemetry.WithoutValues(in); got != want {
			t.Errorf("%q is shown as %q, not %q", in, got, want)
		}
	}
	if got := telemetry.WithoutValues("SELECT " + strings.Repeat("ä, ", 5000)); len(got) > 2000 || !utf8.ValidString(got) {
		t.Errorf("%d bytes: %q", len(got), got[len(got)-10:])
	}
}

// A statement costs nothing to be traced where nobody traces.
func TestStatementsOutsideOfSpans(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if telemetry.Recorded(ctx) {
			t.Error("recorded")
		}
		_, end := telemetry.StartStatement(ctx, "sqlite", "SELECT 1")
		end(nil)
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
