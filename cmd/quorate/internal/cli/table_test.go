package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// Columns begin where a terminal shows the same place, whatever the letters, and
// nothing in a table speaks to the terminal.
func TestTable(t *testing.T) {
	var out strings.Builder
	err := WriteTable(&out, "NAME ROLE", func(w io.Writer) {
		for _, name := range []string{"Ada", "山田太郎", "김철수", "ﾔﾏﾀﾞ", "ＡＢ", "Zoë", "a\x1b[2Jb\rc\ue000"} {
			fmt.Fprintf(w, "%s\tVIEWER\n", name)
		}
	})
	const want = `NAME       ROLE
Ada        VIEWER
山田太郎   VIEWER
김철수     VIEWER
ﾔﾏﾀﾞ       VIEWER
ＡＢ       VIEWER
Zoë        VIEWER
a�[2Jb�c�  VIEWER
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := WriteTable(broken{}, "NAME", func(io.Writer) {}); err == nil {
		t.Error("nobody says that it could not be written")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
