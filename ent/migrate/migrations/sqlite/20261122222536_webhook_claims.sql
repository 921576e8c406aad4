-- Add column "claimed_until" to table: "webhook_deliveries"
ALTER TABLE `webhook_deliveries` ADD COLUMN `claimed_until` datetime NULL;
