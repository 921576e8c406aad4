package resolvers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/resolvers/admission"
	"github.com/quorate/quorate/resolvers/present"
)

// The media types of answers.
const (
	typeJSON    = "application/json"
	typeGraphQL = "application/graphql-response+json"
	typeStream  = "text/event-stream"
)

// answerType chooses how to answer: of the types in Accept that we speak the one
// with the highest quality, the first of several; "" when there is none.
func answerType(r *http.Request) string {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return typeJSON
	}
	best, most := "", 0.0
	for part := range strings.SplitSeq(accept, ",") {
		mt, parameters, err := mime.ParseMediaType(part)
		switch {
		case err != nil:
			continue
		case mt == "*/*" || mt == "application/*":
			mt = typeJSON
		case mt != typeJSON && mt != typeGraphQL && mt != typeStream:
			continue
		}
		quality := 1.0
		if q, ok := parameters["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if quality > most {
			best, most = mt, quality
		}
	}
	return best
}

// ServeHTTP follows the GraphQL over HTTP specification: POST with JSON, GET
// for queries; server-sent events by either; WebSocket with the subprotocol
// graphql-transport-ws.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(graphql.StartOperationTrace(r.Context()))
	if r.Header.Get("Upgrade") != "" {
		if status, err := h.refuseUpgrade(r); err != nil {
			h.refuse(w, r, typeJSON, status, err)
			return
		}
		h.socket.Serve(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		h.refuse(w, r, typeJSON, http.StatusMethodNotAllowed, license.Errorf(license.CodeInvalidInput, "use POST", "GraphQL is asked by POST or GET"))
		return
	}
	as := answerType(r)
	if as == "" {
		h.refuse(w, r, typeJSON, http.StatusNotAcceptable, license.Errorf(license.CodeInvalidInput,
			"accept "+typeGraphQL+" or "+typeJSON, "none of the accepted types can be given"))
		return
	}
	params, status, err := decode(r)
	if err != nil {
		h.refuse(w, r, as, status, err)
		return
	}
	left := &admission.Left{}
	ctx := left.Note(r.Context())
	op, errs := h.exec.CreateOperationContext(ctx, params)
	left.Tell(w.Header())
	if errs != nil {
		response, status := h.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs), requestStatus(as)
		if admission.Throttled(errs) {
			status = http.StatusTooManyRequests
		}
		answer(w, as, status, response.Errors)
		return
	}
	switch kind := op.Operation.Operation; {
	case r.Method == http.MethodGet && kind == ast.Mutation:
		w.Header().Set("Allow", "POST")
		h.refuse(w, r, as, http.StatusMethodNotAllowed, license.Errorf(license.CodeInvalidInput, "use POST", "GET only reads"))
	case as == typeStream:
		h.stream(w, r, params, op)
	case kind == ast.Subscription:
		h.refuse(w, r, as, requestStatus(as), license.Errorf(license.CodeInvalidInput,
			"accept "+typeStream+", or use WebSocket", "a subscription needs a stream"))
	default:
		responses, ctx := h.exec.DispatchOperation(ctx, op)
		response := responses(ctx)
		if response == nil { // its time was over before it began
			h.refuse(w, r, as, http.StatusServiceUnavailable, present.Known(context.DeadlineExceeded))
			return
		}
		give(w, as, response)
	}
}

// requestStatus is the status of an answer to a request that was understood as
// one, but is not executed. Clients that know only application/json take any
// other status than 200 for a broken network.
func requestStatus(as string) int {
	if as == typeJSON {
		return http.StatusOK
	}
	return http.StatusBadRequest
}

// decode reads what to execute. Errors never repeat what was sent.
func decode(r *http.Request) (*graphql.RawParams, int, *license.Error) {
	start := graphql.Now()
	params := &graphql.RawParams{Headers: r.Header}
	status, err := http.StatusBadRequest, (*license.Error)(nil)
	if r.Method == http.MethodGet {
		err = decodeQuery(r, params)
	} else {
		status, err = decodeBody(r, params)
	}
	if err == nil && params.Query == "" && params.Extensions[admission.PersistedKey] == nil {
		status, err = http.StatusBadRequest, license.Errorf(license.CodeInvalidInput, "send the GraphQL document as `query`", "`query` is missing")
	}
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return params, status, err
}

func decodeQuery(r *http.Request, params *graphql.RawParams) *license.Error {
	q := r.URL.Query()
	params.Query, params.OperationName = q.Get("query"), q.Get("operationName")
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		if text := q.Get(name); text != "" && decodeJSON(strings.NewReader(text), into) != nil {
			return license.Errorf(license.CodeInvalidInput, "send a JSON object", "`%s` is not a JSON object", name)
		}
	}
	return nil
}

func decodeBody(r *http.Request, params *graphql.RawParams) (int, *license.Error) {
	if mt, p, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != typeJSON ||
		(p["charset"] != "" && !strings.EqualFold(p["charset"], "utf-8")) {
		return http.StatusUnsupportedMediaType, license.Errorf(license.CodeInvalidInput,
			"send JSON in UTF-8 with Content-Type: application/json", "the body is not JSON")
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return http.StatusUnsupportedMediaType, license.Errorf(license.CodeInvalidInput, "send it as it is, without Content-Encoding", "the body is compressed")
	}
	err := decodeJSON(r.Body, params)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, license.Errorf(license.CodeTooLarge, "send less", "the body is too large")
	}
	if err != nil {
		return http.StatusBadRequest, license.Errorf(license.CodeInvalidInput,
			"send {\"query\": …, \"variables\": {…}, \"operationName\": …}", "the body is not a GraphQL request")
	}
	return 0, nil
}

// decodeJSON reads exactly one value, and numbers without loss.
func decodeJSON(r io.Reader, into any) error {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.Join(errors.New("more than one value"), err)
	}
	return nil
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, as string, status int, err *license.Error) {
	answer(w, as, status, gqlerror.List{h.present.Stamp(r.Context(), present.Final(err))})
}

// answer sends errors without data: nothing was executed.
func answer(w http.ResponseWriter, as string, status int, errs gqlerror.List) {
	write(w, as, status, struct {
		Errors gqlerror.List `json:"errors"`
	}{errs})
}

// give answers what was executed. Data that is all there is needs no other pass,
// unless it has characters that are escaped against being taken for HTML.
func give(w http.ResponseWriter, as string, response *graphql.Response) {
	if len(response.Errors) > 0 || len(response.Extensions) > 0 || response.HasNext != nil || len(response.Data) == 0 ||
		slices.ContainsFunc([]string{"<", ">", "&", "\u2028", "\u2029"}, func(c string) bool { return bytes.Contains(response.Data, []byte(c)) }) {
		write(w, as, http.StatusOK, response)
		return
	}
	b := make([]byte, 0, len(response.Data)+len(`{"data":}`))
	send(w, as, http.StatusOK, append(append(append(b, `{"data":`...), response.Data...), '}'))
}

func write(w http.ResponseWriter, as string, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // the executor's own output
	}
	send(w, as, status, b)
}

func send(w http.ResponseWriter, as string, status int, b []byte) {
	if as == typeStream {
		as = typeGraphQL
	}
	w.Header().Set("Content-Type", as+"; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a reader who went away is nobody's error
}

// stream sends the answers as server-sent events, "next" for each and
// "complete" at the end, as the protocol GraphQL over SSE has it (distinct
// connections). A stream that breaks off without "complete" is to be asked for
// again.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, params *graphql.RawParams, op *graphql.OperationContext) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", typeStream+"; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not gather events
	if !out.send(":\n\n") {
		return
	}
	stop := out.keepAlive(ctx, h.cfg.Ping)
	defer stop()
	defer func() {
		if p := recover(); p != nil && out.next(encoded(&graphql.Response{Errors: h.panicked(ctx, p)})) {
			out.complete()
		}
	}()
	if op.Operation.Operation != ast.Subscription {
		responses, ctx := h.exec.DispatchOperation(graphql.WithOperationContext(ctx, op), op)
		if response := responses(ctx); response != nil && out.next(encoded(response)) {
			out.complete()
		}
		return
	}
	awake := make(chan struct{}, 1)
	f := h.follow(ctx, params, op, func() {
		select {
		case awake <- struct{}{}:
		default:
		}
	})
	defer f.Close()
	for {
		payload, err := f.Next(ctx)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				out.complete()
			}
			return
		case payload == nil:
			select {
			case <-awake:
			case <-ctx.Done():
				return
			}
		case !out.next(payload):
			return
		}
	}
}
