-- Modify "containers" table
ALTER TABLE "containers" ADD COLUMN "clients" bigint NOT NULL DEFAULT 0, ADD COLUMN "event_position" bigint NOT NULL DEFAULT 0, ADD COLUMN "served" jsonb NULL;
