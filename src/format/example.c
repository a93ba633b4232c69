#include "format/example.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "example.pb-c.h"

struct vane_example_message {
  Vane__Example *example;
};

vane_status vane_example_parse(const void *bytes, size_t n_bytes, vane_example_message **message) {
  *message = malloc(sizeof **message);
  if (!*message)
    return vane_fail(VANE_ERR_MEMORY, "no memory for an example");
  (*message)->example = vane__example__unpack(NULL, n_bytes, bytes);
  if (!(*message)->example) {
    free(*message);
    *message = NULL;
    return vane_fail(VANE_ERR_FORMAT, "the record's %zu bytes are no tf.Example", n_bytes);
  }
  return VANE_OK;
}

void vane_example_destroy(vane_example_message *message) {
  if (!message)
    return;
  vane__example__free_unpacked(message->example, NULL);
  free(message);
}

/* NULL where the feature is missing, and where it is there without a list. */
static const Vane__Feature *find(const vane_example_message *message, const char *name) {
  const Vane__Features *features = message->example->features;
  if (!features)
    return NULL;
  /* From the end: of a key that occurs twice in a protobuf map, the last one counts. */
  for (size_t i = features->n_feature; i-- > 0;)
    if (strcmp(features->feature[i]->key, name) == 0)
      return features->feature[i]->value;
  return NULL;
}

vane_status vane_example_get_bytes(const vane_example_message *message, const char *feature,
                                   const void **bytes, size_t *n_bytes) {
  *bytes = NULL;
  *n_bytes = 0;
  const Vane__Feature *found = find(message, feature);
  if (!found || found->kind_case == VANE__FEATURE__KIND__NOT_SET)
    return VANE_OK;
  if (found->kind_case != VANE__FEATURE__KIND_BYTES_LIST)
    return vane_fail(VANE_ERR_FORMAT, "feature %s holds numbers, but bytes are expected", feature);
  if (found->bytes_list->n_value > 0) {
    const ProtobufCBinaryData *first = &found->bytes_list->value[0];
    *bytes = first->data ? first->data : (const void *)"";
    *n_bytes = first->len;
  }
  return VANE_OK;
}

vane_status vane_example_get_numbers(const vane_example_message *message, const char *feature,
                                     double *numbers, int64_t capacity, int64_t *count) {
  *count = 0;
  const Vane__Feature *found = find(message, feature);
  if (!found)
    return VANE_OK;
  switch (found->kind_case) {
  case VANE__FEATURE__KIND_FLOAT_LIST:
    *count = (int64_t)found->float_list->n_value;
    for (int64_t i = 0; i < *count && i < capacity; i++)
      numbers[i] = (double)found->float_list->value[i];
    return VANE_OK;
  case VANE__FEATURE__KIND_INT64_LIST:
    *count = (int64_t)found->int64_list->n_value;
    for (int64_t i = 0; i < *count && i < capacity; i++)
      numbers[i] = (double)found->int64_list->value[i];
    return VANE_OK;
  case VANE__FEATURE__KIND_BYTES_LIST:
    return vane_fail(VANE_ERR_FORMAT, "feature %s holds bytes, but numbers are expected", feature);
  default:
    return VANE_OK;
  }
}

int64_t vane_example_count(const vane_example_message *message) {
  return message->example->features ? (int64_t)message->example->features->n_feature : 0;
}

void vane_example_describe(const vane_example_message *message, int64_t i, const char **name,
                           const char **type, int64_t *length) {
  const Vane__NamedFeature *named = message->example->features->feature[i];
  const Vane__Feature *feature = named->value;
  *name = named->key;
  *type = "empty";
  *length = 0;
  switch (feature ? feature->kind_case : VANE__FEATURE__KIND__NOT_SET) {
  case VANE__FEATURE__KIND_BYTES_LIST:
    *type = "bytes";
    *length = feature->bytes_list->n_value > 0 ? (int64_t)feature->bytes_list->value[0].len : 0;
    break;
  case VANE__FEATURE__KIND_FLOAT_LIST:
    *type = "float";
    *length = (int64_t)feature->float_list->n_value;
    break;
  case VANE__FEATURE__KIND_INT64_LIST:
    *type = "int64";
    *length = (int64_t)feature->int64_list->n_value;
    break;
  default:
    break;
  }
}

/* All the messages that one feature is made of. */
typedef struct feature_messages {
  Vane__NamedFeature named;
  Vane__Feature feature;
  Vane__BytesList bytes_list;
  Vane__FloatList float_list;
  Vane__Int64List int64_list;
  ProtobufCBinaryData element;
} feature_messages;

/* protobuf-c only reads what it packs, but its fields are not const. */
static void *lend(const void *borrowed) {
  return (void *)(uintptr_t)borrowed;
}

static void fill(feature_messages *messages, const vane_example_feature *feature) {
  size_t n = (size_t)feature->n_values;
  vane__named_feature__init(&messages->named);
  vane__feature__init(&messages->feature);
  messages->named.key = lend(feature->name);
  messages->named.value = &messages->feature;
  if (feature->bytes) {
    vane__bytes_list__init(&messages->bytes_list);
    messages->element = (ProtobufCBinaryData){.len = n, .data = lend(feature->bytes)};
    messages->bytes_list.n_value = 1;
    messages->bytes_list.value = &messages->element;
    messages->feature.kind_case = VANE__FEATURE__KIND_BYTES_LIST;
    messages->feature.bytes_list = &messages->bytes_list;
  } else if (feature->floats) {
    vane__float_list__init(&messages->float_list);
    messages->float_list.n_value = n;
    messages->float_list.value = lend(feature->floats);
    messages->feature.kind_case = VANE__FEATURE__KIND_FLOAT_LIST;
    messages->feature.float_list = &messages->float_list;
  } else {
    vane__int64_list__init(&messages->int64_list);
    messages->int64_list.n_value = n;
    messages->int64_list.value = lend(feature->integers);
    messages->feature.kind_case = VANE__FEATURE__KIND_INT64_LIST;
    messages->feature.int64_list = &messages->int64_list;
  }
}

vane_status vane_example_print(const vane_example_feature *features, int64_t n_features,
                               unsigned char **bytes, size_t *n_bytes) {
  *bytes = NULL;
  *n_bytes = 0;
  size_t n = (size_t)n_features;
  /* At least one of each, for calloc may answer NULL to a request for nothing. */
  feature_messages *messages = calloc(n + 1, sizeof *messages);
  Vane__NamedFeature **named = calloc(n + 1, sizeof(Vane__NamedFeature *));
  Vane__Features list = VANE__FEATURES__INIT;
  Vane__Example example = VANE__EXAMPLE__INIT;
  if (messages && named) {
    for (size_t i = 0; i < n; i++) {
      fill(&messages[i], &features[i]);
      named[i] = &messages[i].named;
    }
    list.n_feature = n;
    list.feature = named;
    example.features = &list;
    *n_bytes = vane__example__get_packed_size(&example);
    *bytes = malloc(*n_bytes);
    if (*bytes)
      vane__example__pack(&example, *bytes);
  }
  free(named);
  free(messages);
  return *bytes ? VANE_OK : vane_fail(VANE_ERR_MEMORY, "no memory for an example");
}
