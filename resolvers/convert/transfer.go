package convert

import (
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/orders"
)

// Transfer reads what is to be transferred.
func Transfer(in graph.TransferInput) orders.TransferRequest {
	return orders.TransferRequest{
		From: Place(in.TmrGroup, in.Container), Product: in.Product, Quantity: in.Quantity, Reason: in.Reason, Key: Value(in.IdempotencyKey),
	}
}
