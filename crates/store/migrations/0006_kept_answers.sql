-- Erasing a person forgets all answers that are kept, in batches, without looking at the rows that have none.

CREATE INDEX idempotency_keys_with_answer ON idempotency_keys (id) WHERE sealed_answer IS NOT NULL;
