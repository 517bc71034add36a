#define _GNU_SOURCE
#include "script.h"
#include "../engine/engine.h"

#include <stdlib.h>
#include <string.h>

static bool take_sizes(struct fields *fields, bool in_jail, struct blocks *blocks)
{
	if (!take_number(fields, MAX_STORED, &blocks->count))
		return false;
	blocks->checks = calloc(blocks->count + 1, sizeof(*blocks->checks));
	for (size_t i = 0; blocks->checks != NULL && i < blocks->count; i++) {
		size_t length;
		if (!take_number(fields, MAX_STORED, &length))
			return false;
		/* Entries are compared with the plan; their change times are of no account. */
		blocks->checks[i] = (struct operation){ .type = OP_CHECK,
							.flag = in_jail,
							.size = UINT64_MAX,
							.content_length = (uint32_t)length };
	}
	return blocks->checks != NULL;
}

static bool place_blocks(struct fields *fields, struct blocks *blocks)
{
	return take_contents_of(fields, blocks->checks, blocks->count);
}

static bool take_contents(struct fields *fields, struct script *script)
{
	struct fields fingerprint = *fields;

	if (!take_text(fields, script->fingerprint_length, &script->fingerprint) ||
	    script->fingerprint_length < STATE_MAGIC)
		return false;
	fingerprint.at += STATE_MAGIC;
	return place_blocks(&fingerprint, &script->host) && place_blocks(&fingerprint, &script->jail) &&
	       fingerprint.at <= fields->at && take_text(fields, script->rest_length, &script->rest) &&
	       place_blocks(fields, &script->advice) &&
	       take_text(fields, script->requests_length, &script->requests) &&
	       take_text(fields, script->replies_length, &script->replies) &&
	       take_text(fields, script->out_length, &script->out) &&
	       take_text(fields, script->out_rest_length, &script->out_rest) &&
	       take_text(fields, script->err_length, &script->err) && fields->at == fields->end;
}

bool take_script(struct fields *fields, struct script *script)
{
	const char *form;
	const char **const texts[] = { &script->source_root, &script->name, &script->stage, &script->notes,
				       &form };
	size_t *const lengths[] = { &script->fingerprint_length, &script->head_length,
				    &script->rest_length,	 &script->requests_length,	 &script->replies_length,
				    &script->out_length,	 &script->out_rest_length,	 &script->err_length };

	if (!take_texts(fields, texts, sizeof(texts) / sizeof(texts[0])))
		return false;
	script->is_json = strcmp(form, "json") == 0;
	if (!take_number(fields, MAX_STORED, &script->next_count) ||
	    !take_items(fields, script->next_count, &script->next) ||
	    !take_number(fields, MAX_STORED, &script->tree_count) ||
	    !take_items(fields, script->tree_count, &script->trees) ||
	    !take_sizes(fields, false, &script->host) || !take_sizes(fields, true, &script->jail) ||
	    !take_sizes(fields, false, &script->advice))
		return false;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		if (!take_number(fields, MAX_STORED, lengths[i]))
			return false;
	}
	return take_contents(fields, script);
}
