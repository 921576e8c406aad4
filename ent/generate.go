package ent

//go:generate sh -c "cd .. && go run ./internal/tools/entgen"
