package telemetry

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// mostStatement bounds a statement's text in a span, in bytes.
const mostStatement = 2000

// Recorded says whether ctx carries a span of this process that is told: whoever
// has to make something for a span asks before.
func Recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// StartStatement is Start for one statement to a database of that system. Its
// span has the text without values.
func StartStatement(ctx context.Context, system, text string) (_ context.Context, end func(error)) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return ctx, func(error) {}
	}
	plain := WithoutValues(text)
	verb, _, _ := strings.Cut(plain, " ")
	if !plainLabel(verb) {
		verb = "statement"
	}
	return begin(ctx, span.TracerProvider().Tracer(library), "sql "+strings.ToUpper(verb), trace.SpanKindClient,
		[]attribute.KeyValue{attribute.String("db.system.name", system), attribute.String("db.query.text", plain)})
}

// WithoutValues gives a statement with a question mark for each text and number
// that is written in it, without comments, and not too long. What it can't read,
// as a text that doesn't end, it leaves out with all that follows.
func WithoutValues(text string) string {
	var out strings.Builder
	for i := 0; i < len(text) && out.Len() < mostStatement; {
		rest, c := text[i:], text[i]
		switch {
		case c == '\'':
			n := quoted(rest, c)
			if s := out.String(); n > 0 && strings.IndexByte(rest[:n], '\\') >= 0 && s != "" && nameByte(s[len(s)-1]) {
				n = 0 // E'…', in which a quote may be written \'
			}
			out.WriteByte('?')
			if n == 0 {
				return out.String()
			}
			i += n
		case c == '"' || c == '`':
			n := quoted(rest, c)
			if n == 0 {
				return out.String()
			}
			out.WriteString(rest[:n])
			i += n
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return out.String()
			}
			i += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 || strings.Contains(rest[2:end], "/*") {
				return out.String()
			}
			i += end + 2
		case c == '$' && len(rest) > 1 && (rest[1] < '0' || rest[1] > '9'): // a text in dollars
			out.WriteByte('?')
			return out.String()
		case c == '$' || nameByte(c) && (c < '0' || c > '9'):
			n := 1
			for n < len(rest) && nameByte(rest[n]) {
				n++
			}
			out.WriteString(rest[:n])
			i += n
		case c >= '0' && c <= '9':
			n := 1
			for n < len(rest) && (nameByte(rest[n]) || rest[n] == '.') {
				n++
			}
			out.WriteByte('?')
			i += n
		case c == '\n' || c == '\t' || c == '\r' || c == ' ':
			if s := out.String(); s != "" && s[len(s)-1] != ' ' {
				out.WriteByte(' ')
			}
			i++
		default:
			out.WriteByte(c)
			i++
		}
	}
	s := out.String()
	return strings.ToValidUTF8(s[:min(len(s), mostStatement)], "")
}

// quoted is how long the quoted part is that text begins with; 0: it doesn't end.
func quoted(text string, by byte) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != by:
		case i+1 < len(text) && text[i+1] == by:
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// nameByte says whether a byte may be within a name; those of other alphabets are.
func nameByte(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
