-- Modify "containers" table
ALTER TABLE "containers" ADD COLUMN "meters" jsonb NULL;
-- Modify "orders" table
ALTER TABLE "orders" ADD COLUMN "carried" jsonb NULL;
