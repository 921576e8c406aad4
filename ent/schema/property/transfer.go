package property

import "io"

// OrderSource is where the licenses of an order come from.
type OrderSource string

// The sources. Only a purchase adds to what was bought.
const (
	OrderPurchase OrderSource = "PURCHASE"
	OrderCredit   OrderSource = "CREDIT" // licenses that came back
	OrderMove     OrderSource = "MOVE"
	OrderRehost   OrderSource = "REHOST"
	OrderTicket   OrderSource = "TICKET" // activated of a ticket
)

// TransferKind is why licenses leave a container.
type TransferKind string

// The kinds of transfers.
const (
	TransferReturn TransferKind = "RETURN"
	TransferMove   TransferKind = "MOVE"
	TransferRehost TransferKind = "REHOST"
	TransferRevoke TransferKind = "REVOKE"
)

// TransferState is where a transfer stands.
type TransferState string

// The states of a transfer.
const (
	TransferRequested TransferState = "REQUESTED" // the next rollout takes it
	TransferIssued    TransferState = "ISSUED"    // a rollout has it
	TransferConfirmed TransferState = "CONFIRMED" // the container has confirmed that the licenses are gone
	TransferRefused   TransferState = "REFUSED"   // it can't come about any more
)

// ContainerState is what the platform knows of a container.
type ContainerState string

// The states of a container.
const (
	ContainerUpToDate        ContainerState = "UP_TO_DATE"
	ContainerUpdateDue       ContainerState = "UPDATE_DUE"
	ContainerAwaitingReceipt ContainerState = "AWAITING_RECEIPT"
	ContainerSuspected       ContainerState = "SUSPECTED"
	ContainerBlocked         ContainerState = "BLOCKED"
)

// ContainerDecision is what a person decides about a suspected container.
type ContainerDecision string

// The decisions.
const (
	DecideAccept ContainerDecision = "ACCEPT"
	DecideBlock  ContainerDecision = "BLOCK"
)

// Values lists the sources.
func (OrderSource) Values() []string {
	return list(OrderPurchase, OrderCredit, OrderMove, OrderRehost, OrderTicket)
}

// Values lists the kinds.
func (TransferKind) Values() []string {
	return list(TransferReturn, TransferMove, TransferRehost, TransferRevoke)
}

// Values lists the states.
func (TransferState) Values() []string {
	return list(TransferRequested, TransferIssued, TransferConfirmed, TransferRefused)
}

// Values lists the states.
func (ContainerState) Values() []string {
	return list(ContainerUpToDate, ContainerUpdateDue, ContainerAwaitingReceipt, ContainerSuspected, ContainerBlocked)
}

// Values lists the decisions.
func (ContainerDecision) Values() []string { return list(DecideAccept, DecideBlock) }

// MarshalGQL writes the value as a GraphQL enum.
func (v OrderSource) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *OrderSource) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v TransferKind) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *TransferKind) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v TransferState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *TransferState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v ContainerState) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *ContainerState) UnmarshalGQL(val any) error { return read(v, val) }

// MarshalGQL writes the value as a GraphQL enum.
func (v ContainerDecision) MarshalGQL(w io.Writer) { write(w, v) }

// UnmarshalGQL reads the value and refuses one that is not listed.
func (v *ContainerDecision) UnmarshalGQL(val any) error { return read(v, val) }
