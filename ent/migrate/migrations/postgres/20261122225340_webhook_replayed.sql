-- Modify "webhook_deliveries" table
ALTER TABLE "webhook_deliveries" ADD COLUMN "replayed" boolean NOT NULL DEFAULT false;
