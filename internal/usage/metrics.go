package usage

import (
	"bufio"
	"io"
	"strings"
)

// MetricsType is the media type of OpenMetrics text.
const MetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

// Metrics writes OpenMetrics text, family after family; it keeps nothing. Its
// error is the writer's first.
type Metrics struct {
	w      *bufio.Writer
	family string
}

// NewMetrics begins a text.
func NewMetrics(w io.Writer) *Metrics { return &Metrics{w: bufio.NewWriter(w)} }

// The types of families.
const (
	Gauge   = "gauge"
	Counter = "counter" // its samples end in _total
)

// Family begins the next one.
func (m *Metrics) Family(name, kind, help string) error {
	m.family = name
	if kind == Counter {
		m.family += "_total"
	}
	_, err := m.w.WriteString("# TYPE " + name + " " + kind + "\n# HELP " + name + " " + escape(help) + "\n")
	return err
}

// Label is a name and any text.
type Label struct{ Name, Value string }

// Sample writes one of the family; no two have the same labels.
func (m *Metrics) Sample(value float64, labels ...Label) error {
	var b strings.Builder
	b.WriteString(m.family)
	for i, l := range labels {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(l.Name + `="` + escape(l.Value) + `"`)
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteString(" " + number(value) + "\n")
	_, err := m.w.WriteString(b.String())
	return err
}

// Close ends the text: one without its end was broken off.
func (m *Metrics) Close() error {
	if _, err := m.w.WriteString("# EOF\n"); err != nil {
		return err
	}
	return m.w.Flush()
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD"))
}
