package roles

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzBackend reads anything as one of a TMR server's backends.
func FuzzBackend(f *testing.F) {
	f.Add("130-1874829@https://10.0.0.21:7500?pin=sha256:" + strings.Repeat("A", 43))
	f.Add("x@https://h")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := parseBackend(1, s)
		if err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Fatal(err)
		}
		if err == nil && (!strings.HasPrefix(b.URL, "https://") || b.Pin == "" || b.Serial.Kind() == "") {
			t.Fatalf("the backend %+v", b)
		}
	})
}
