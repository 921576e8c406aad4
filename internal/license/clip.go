package license

import (
	"strings"
	"unicode/utf8"
)

// Clip bounds a text from outside to n bytes of valid UTF-8. Bytes that are none
// become U+FFFD; what is cut off becomes an ellipsis where there is room for it.
func Clip(s string, n int) string {
	const ellipsis = "…"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	end := ellipsis
	if n < len(end) {
		end = ""
	}
	cut := max(n-len(end), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + end
}

// clip bounds what an error message repeats of somebody's input.
func clip(s string) string { return Clip(s, 64) }
