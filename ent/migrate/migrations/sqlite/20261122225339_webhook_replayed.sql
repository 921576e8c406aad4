-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_webhook_deliveries" table
CREATE TABLE `new_webhook_deliveries` (`id` text NOT NULL, `created_at` datetime NOT NULL, `state` text NOT NULL DEFAULT ('PENDING'), `attempt` integer NOT NULL DEFAULT (0), `due_at` datetime NULL, `claimed_until` datetime NULL, `attempts` json NULL, `replay` bool NOT NULL DEFAULT (false), `replayed` bool NOT NULL DEFAULT (false), `organization_id` text NOT NULL, `webhook_endpoint_id` text NOT NULL, `webhook_event_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `webhook_deliveries_organizations_organization` FOREIGN KEY (`organization_id`) REFERENCES `organizations` (`id`) ON DELETE NO ACTION, CONSTRAINT `webhook_deliveries_webhook_endpoints_deliveries` FOREIGN KEY (`webhook_endpoint_id`) REFERENCES `webhook_endpoints` (`id`) ON DELETE NO ACTION, CONSTRAINT `webhook_deliveries_webhook_events_deliveries` FOREIGN KEY (`webhook_event_id`) REFERENCES `webhook_events` (`id`) ON DELETE NO ACTION);
-- Copy rows from old table "webhook_deliveries" to new temporary table "new_webhook_deliveries"
INSERT INTO `new_webhook_deliveries` (`id`, `created_at`, `state`, `attempt`, `due_at`, `claimed_until`, `attempts`, `replay`, `organization_id`, `webhook_endpoint_id`, `webhook_event_id`) SELECT `id`, `created_at`, `state`, `attempt`, `due_at`, `claimed_until`, `attempts`, `replay`, `organization_id`, `webhook_endpoint_id`, `webhook_event_id` FROM `webhook_deliveries`;
-- Drop "webhook_deliveries" table after copying rows
DROP TABLE `webhook_deliveries`;
-- Rename temporary table "new_webhook_deliveries" to "webhook_deliveries"
ALTER TABLE `new_webhook_deliveries` RENAME TO `webhook_deliveries`;
-- Create index "webhookdelivery_organization_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_organization_id_id` ON `webhook_deliveries` (`organization_id`, `id`);
-- Create index "webhookdelivery_webhook_endpoint_id_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_endpoint_id_id` ON `webhook_deliveries` (`webhook_endpoint_id`, `id`);
-- Create index "webhookdelivery_webhook_event_id" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_webhook_event_id` ON `webhook_deliveries` (`webhook_event_id`);
-- Create index "webhookdelivery_state_due_at" to table: "webhook_deliveries"
CREATE INDEX `webhookdelivery_state_due_at` ON `webhook_deliveries` (`state`, `due_at`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
