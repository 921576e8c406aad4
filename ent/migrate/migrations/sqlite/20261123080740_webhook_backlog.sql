-- Create index "webhookdelivery_webhook_endpoint_id_state_due_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_endpoint_id_state_due_at` ON `webhook_deliveries` (`webhook_endpoint_id`, `state`, `due_at`);
-- Create index "webhookdelivery_webhook_endpoint_id_state_claimed_until" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_endpoint_id_state_claimed_until` ON `webhook_deliveries` (`webhook_endpoint_id`, `state`, `claimed_until`);
