package convert

import (
	"strconv"
	"time"

	"entgo.io/contrib/entgql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
)

// Notice gives the last notice to an allocation's holder; nil: none.
func Notice(a *ent.Allocation) *graph.AllocationNotice {
	if a.NoticeAt == nil {
		return nil
	}
	n := &graph.AllocationNotice{
		AskedAt: *a.NoticeAt, By: a.NoticeBy, Text: a.NoticeText, TakenAt: a.NoticeTakenAt, Code: a.NoticeCode, Message: a.NoticeMessage,
	}
	if n.TakenAt == nil && n.Code == "" && time.Since(n.AskedAt) > history.NoticeTime {
		n.Code, n.Message = string(license.CodeUnavailable), "its license server was not there in time: ask again when it is"
	}
	return n
}

// UsageOverTime is the use of one product in one container.
func UsageOverTime(u history.UsageOverTime) *graph.UsageOverTime {
	out := &graph.UsageOverTime{
		Container: u.Container, Product: u.Product, Resolution: u.Resolution, From: u.From, To: u.To,
		Points: make([]*graph.UsagePoint, len(u.Points)),
	}
	if !u.Since.IsZero() {
		out.Since = &u.Since
	}
	for i, p := range u.Points {
		out.Points[i] = &graph.UsagePoint{
			Start: p.Start, End: p.End, Complete: p.Over(), Peak: int(p.MostTaken), Average: p.Average(),
			Quantity: int(p.MostQuantity), FullSeconds: p.Full().Seconds(), Users: int(p.Users), Stations: int(p.Stations),
			Granted: int(p.Granted), Released: int(p.Released), Expired: int(p.Expired), Removed: int(p.Removed), Denied: int(p.Denied),
		}
	}
	return out
}

// CursorID is what a cursor of a report's line names; empty: none was given.
func CursorID(c *entgql.Cursor[string]) string {
	if c == nil {
		return ""
	}
	return c.ID
}

// UsageReport gives the page of a report that a question asked for.
func UsageReport(rep history.Report, q history.ReportQuestion) *graph.UsageReportLineConnection {
	out := &graph.UsageReportLineConnection{
		From: rep.From, To: rep.To, Edges: make([]*graph.UsageReportLineEdge, len(rep.Lines)), TotalCount: rep.Total,
		PageInfo: &entgql.PageInfo[string]{HasNextPage: rep.More, HasPreviousPage: q.After != ""},
	}
	if q.Last {
		out.PageInfo.HasNextPage, out.PageInfo.HasPreviousPage = q.Before != "", rep.More
	}
	for i, l := range rep.Lines {
		out.Edges[i] = &graph.UsageReportLineEdge{Cursor: entgql.Cursor[string]{ID: l.Series.ID}, Node: &graph.UsageReportLine{
			Container: l.Series.Edges.Container, Product: l.Series.Edges.Product, Since: l.Series.Since,
			Peak: int(l.MostTaken), Average: l.Average(), Quantity: int(l.MostQuantity), LicenseHours: l.Taken.Hours(), FullSeconds: l.Full.Seconds(),
			PeakUsers: int(l.MostUsers), PeakStations: int(l.MostStations),
			Granted: int(l.Granted), Released: int(l.Released), Expired: int(l.Expired), Removed: int(l.Removed), Denied: int(l.Denied),
		}}
	}
	if n := len(out.Edges); n > 0 {
		out.PageInfo.StartCursor, out.PageInfo.EndCursor = &out.Edges[0].Cursor, &out.Edges[n-1].Cursor
	}
	return out
}

// ProductUses is the use of products now.
func ProductUses(all []history.ProductUse) []*graph.ProductUse {
	out := make([]*graph.ProductUse, len(all))
	for i, u := range all {
		out[i] = &graph.ProductUse{
			Product: u.Product.String(), Firm: int(u.Product.Firm), Code: int(u.Product.Code), Name: u.Name,
			FeatureMap: strconv.FormatUint(uint64(u.FeatureMap), 10), Total: u.Total, Taken: u.Taken, Free: max(u.Total-u.Taken, 0),
			Modes: make([]*graph.ModeUse, len(u.Modes)),
		}
		for j, m := range u.Modes {
			out[i].Modes[j] = &graph.ModeUse{Mode: m.Mode, Handles: m.Handles, Licenses: m.Licenses, Borrowed: m.Borrowed}
		}
	}
	return out
}

// FirmUsageLog is the head of a firm's usage log.
func FirmUsageLog(l history.UsageLog) *graph.FirmUsageLog {
	return &graph.FirmUsageLog{Firm: l.Firm, First: entryNumber(l.First), Last: entryNumber(l.Last), Hash: l.Hash.String()}
}

// entryNumber writes the number of an entry; nil for none.
func entryNumber(n uint64) *string {
	if n == 0 {
		return nil
	}
	text := strconv.FormatUint(n, 10)
	return &text
}

// UsageGaps are those of a usage log.
func UsageGaps(all []history.UsageGap) []*graph.UsageGap {
	out := make([]*graph.UsageGap, len(all))
	for i, g := range all {
		out[i] = &graph.UsageGap{Number: strconv.FormatUint(g.Number, 10), Source: g.Source, At: g.Entry.At()}
		if g.Missing > 0 {
			text := strconv.FormatInt(g.Missing, 10)
			out[i].Missing = &text
		}
	}
	return out
}
