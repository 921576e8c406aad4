-- Create index "order_item_id_rollout_id" to table: "orders"
CREATE INDEX "order_item_id_rollout_id" ON "orders" ("item_id", "rollout_id");
