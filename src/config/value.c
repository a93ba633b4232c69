#include "config/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* An explicit tag ("!!int") makes a node something that vane has no settings for. */
static bool has_tag(const yaml_node_t *node, const char *tag) {
  return node->tag && strcmp((const char *)node->tag, tag) == 0;
}

static bool is_plain(const yaml_node_t *node) {
  return node->type == YAML_SCALAR_NODE && has_tag(node, YAML_STR_TAG) &&
         node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static const char *scalar_text(const yaml_node_t *node) {
  return (const char *)node->data.scalar.value;
}

static bool is_null(const yaml_node_t *node) {
  static const char *const words[] = {"", "~", "null", "Null", "NULL"};
  for (size_t i = 0; i < sizeof words / sizeof words[0] && is_plain(node); i++)
    if (strcmp(scalar_text(node), words[i]) == 0)
      return true;
  return false;
}

/* The longest beginning of at most `limit` bytes that does not cut a UTF-8 character. */
static int shown_bytes(const char *text, size_t limit) {
  size_t n = strnlen(text, limit + 1);
  if (n > limit)
    for (n = limit; n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80;)
      n--;
  return (int)n;
}

void vane_value_describe(const yaml_node_t *node, char text[VANE_FOUND_BYTES]) {
  if (node->type == YAML_MAPPING_NODE)
    snprintf(text, VANE_FOUND_BYTES, "a map");
  else if (node->type == YAML_SEQUENCE_NODE)
    snprintf(text, VANE_FOUND_BYTES, "a list");
  else if (!has_tag(node, YAML_STR_TAG))
    snprintf(text, VANE_FOUND_BYTES, "the tag %.40s", (const char *)node->tag);
  else if (is_null(node))
    snprintf(text, VANE_FOUND_BYTES, "no value");
  else
    snprintf(text, VANE_FOUND_BYTES, is_plain(node) ? "%.*s" : "the text \"%.*s\"",
             shown_bytes(scalar_text(node), 40), scalar_text(node));
}

const char *vane_value_text(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE || !has_tag(node, YAML_STR_TAG) || is_null(node))
    return NULL;
  return scalar_text(node);
}

static vane_status fail_type(const yaml_node_t *node, const char *wanted) {
  char found[VANE_FOUND_BYTES];
  vane_value_describe(node, found);
  return vane_fail(VANE_ERR_CONFIG, "wants %s, found %s", wanted, found);
}

static vane_status fail_range(const yaml_node_t *node, double min, double max, const char *unit) {
  char low[VANE_NUMBER_BYTES], high[VANE_NUMBER_BYTES], found[VANE_FOUND_BYTES];
  vane_number_print(min, low);
  vane_number_print(max, high);
  vane_value_describe(node, found);
  return vane_fail(VANE_ERR_CONFIG, "%s is out of range: %s to %s%s%s", found, low, high,
                   *unit ? " " : "", unit);
}

/* Skips a sign and digits; counts the digits. */
static const char *skip_digits(const char *text, bool sign, size_t *n_digits) {
  text += sign && (*text == '-' || *text == '+');
  *n_digits = strspn(text, "0123456789");
  return text + *n_digits;
}

static bool is_integer(const char *text) {
  size_t n_digits;
  return *skip_digits(text, true, &n_digits) == '\0' && n_digits > 0;
}

/* Decimal only, and 1e-4 counts (YAML 1.2): strtod would also take "0x1p3", "inf" and "nan". */
static bool is_real(const char *text) {
  size_t n_whole, n_fraction = 0, n_exponent = 1;
  text = skip_digits(text, true, &n_whole);
  if (*text == '.')
    text = skip_digits(text + 1, false, &n_fraction);
  if (*text == 'e' || *text == 'E')
    text = skip_digits(text + 1, true, &n_exponent);
  return *text == '\0' && n_whole + n_fraction > 0 && n_exponent > 0;
}

vane_status vane_value_integer(const yaml_node_t *node, double min, double max, const char *unit,
                               int64_t *value) {
  if (!is_plain(node) || !is_integer(scalar_text(node)))
    return fail_type(node, "an integer");
  /* Stops at the ends of long long, which lie outside every range. */
  long long number = strtoll(scalar_text(node), NULL, 10);
  if ((double)number < min || (double)number > max)
    return fail_range(node, min, max, unit);
  *value = number;
  return VANE_OK;
}

static vane_status read_real(const yaml_node_t *node, const vane_key *key, double *value) {
  if (!is_plain(node) || !is_real(scalar_text(node)))
    return fail_type(node, "a number");
  double number = strtod(scalar_text(node), NULL);
  if (!isfinite(number) || number < key->min || number > key->max)
    return fail_range(node, key->min, key->max, key->unit);
  *value = number;
  return VANE_OK;
}

vane_status vane_value_boolean(const yaml_node_t *node, bool *value) {
  bool truth = is_plain(node) && strcmp(scalar_text(node), "true") == 0;
  if (!truth && !(is_plain(node) && strcmp(scalar_text(node), "false") == 0))
    return fail_type(node, "true or false");
  *value = truth;
  return VANE_OK;
}

static vane_status read_text(const yaml_node_t *node, char value[VANE_CONFIG_TEXT_BYTES]) {
  const char *text = vane_value_text(node);
  if (!text)
    return fail_type(node, "a text");
  size_t n_bytes = node->data.scalar.length;
  if (n_bytes >= VANE_CONFIG_TEXT_BYTES)
    return vane_fail(VANE_ERR_CONFIG, "is longer than %d bytes", VANE_CONFIG_TEXT_BYTES - 1);
  if (strlen(text) != n_bytes)
    return vane_fail(VANE_ERR_CONFIG, "holds a zero byte");
  memset(value, 0, VANE_CONFIG_TEXT_BYTES);
  memcpy(value, text, n_bytes);
  return VANE_OK;
}

static void list_words(const vane_key *key, char *text, size_t n_bytes) {
  size_t used = 0;
  for (const char *at = key->words; *at != '\0' && used + 3 < n_bytes; at++) {
    text[used++] = *at == '|' ? ',' : *at;
    if (*at == '|')
      text[used++] = ' ';
  }
  text[used] = '\0';
}

static vane_status read_choice(const yaml_node_t *node, const vane_key *key, int *value) {
  const char *text = vane_value_text(node);
  int index = text ? vane_key_word_index(key, text) : -1;
  if (index < 0) {
    char words[256] = "one of ";
    size_t used = strlen(words);
    list_words(key, words + used, sizeof words - used);
    return fail_type(node, words);
  }
  *value = index;
  return VANE_OK;
}

/* Reals and integers; `values` has room for max_count of either, 8 bytes each. */
static vane_status read_list(yaml_document_t *document, const yaml_node_t *node,
                             const vane_key *key, void *values, int64_t *count) {
  if (node->type != YAML_SEQUENCE_NODE)
    return fail_type(node,
                     key->type == VANE_KEY_REALS ? "a list of numbers" : "a list of integers");
  int64_t n = node->data.sequence.items.top - node->data.sequence.items.start;
  if (n > key->max_count)
    return vane_fail(VANE_ERR_CONFIG, "has %" PRId64 " entries, at most %" PRId64 " fit", n,
                     key->max_count);
  memset(values, 0, (size_t)key->max_count * sizeof(int64_t));
  for (int64_t i = 0; i < n; i++) {
    yaml_node_t *item = yaml_document_get_node(document, node->data.sequence.items.start[i]);
    vane_status status =
        key->type == VANE_KEY_REALS
            ? read_real(item, key, (double *)values + i)
            : vane_value_integer(item, key->min, key->max, key->unit, (int64_t *)values + i);
    if (status != VANE_OK)
      return vane_error_add_context("entry %" PRId64, i + 1);
  }
  *count = n;
  return VANE_OK;
}

_Static_assert(sizeof(double) == sizeof(int64_t), "read_list clears both alike");

vane_status vane_value_store(yaml_document_t *document, const yaml_node_t *node,
                             const vane_key *key, vane_config *config) {
  void *field = (char *)config + key->offset;
  switch (key->type) {
  case VANE_KEY_INTEGER:
    return vane_value_integer(node, key->min, key->max, key->unit, field);
  case VANE_KEY_REAL:
    return read_real(node, key, field);
  case VANE_KEY_BOOLEAN:
    return vane_value_boolean(node, field);
  case VANE_KEY_TEXT:
    return read_text(node, field);
  case VANE_KEY_CHOICE:
    return read_choice(node, key, field);
  case VANE_KEY_REALS:
  case VANE_KEY_INTEGERS:
    return read_list(document, node, key, field,
                     (int64_t *)(void *)((char *)config + key->count_offset));
  case VANE_KEY_LAYERS:
    break;
  }
  return vane_fail(VANE_ERR_ARGUMENT, "%s is not a value but a list of layers", key->name);
}
