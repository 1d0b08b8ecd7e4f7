/*
 * Checks of arguments and making of results. Nothing here converts: a number is a number and a Uint8Array is a
 * Uint8Array, or the call throws.
 */
#include "addon.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool reject_type(napi_env env, const char *message) {
    napi_throw_type_error(env, NULL, message);
    return false;
}

static bool reject_range(napi_env env, const char *name, int64_t minimum, int64_t maximum) {
    char message[128];
    snprintf(message, sizeof message, "%s must be %lld to %lld", name, (long long)minimum, (long long)maximum);
    napi_throw_range_error(env, NULL, message);
    return false;
}

static bool is_type(napi_env env, napi_value value, napi_valuetype wanted) {
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == wanted;
}

/* Missing arguments arrive as undefined, which every check below refuses. */
bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
    size_t given = count;
    return napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok;
}

/*
 * Shared memory is refused: another thread could read or change it during the call. A detached buffer has length 0;
 * it is refused by name, so that a caller learns of its mistake even where 0 bytes would be allowed.
 */
bool bytes_argument(napi_env env, napi_value value, size_t minimum, size_t maximum, struct bytes *bytes) {
    static uint8_t none;
    bool is_array = false;
    if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) {
        return reject_type(env, "expected a Uint8Array");
    }
    napi_typedarray_type type;
    napi_value buffer;
    void *data = NULL;
    size_t offset;
    if (napi_get_typedarray_info(env, value, &type, &bytes->length, &data, &buffer, &offset) != napi_ok ||
        type != napi_uint8_array) {
        return reject_type(env, "expected a Uint8Array");
    }
    bool is_unshared = false;
    bool is_detached = true;
    if (napi_is_arraybuffer(env, buffer, &is_unshared) != napi_ok || !is_unshared) {
        return reject_type(env, "expected memory that is not shared");
    }
    if (napi_is_detached_arraybuffer(env, buffer, &is_detached) != napi_ok || is_detached) {
        return reject_type(env, "expected a buffer that is not detached");
    }
    if (bytes->length < minimum || bytes->length > maximum) {
        return reject_range(env, "length", (int64_t)minimum, (int64_t)maximum);
    }
    bytes->data = bytes->length == 0 ? &none : data;
    return true;
}

bool integer_argument(napi_env env, napi_value value, const char *name, int64_t minimum, int64_t maximum,
                      int64_t *integer) {
    double number;
    char message[96];
    if (!is_type(env, value, napi_number) || napi_get_value_double(env, value, &number) != napi_ok) {
        snprintf(message, sizeof message, "%s must be a number", name);
        return reject_type(env, message);
    }
    /* Comparisons first: a NaN or an infinity fails them, and the cast below is then defined. */
    if (!(number >= (double)minimum && number <= (double)maximum)) return reject_range(env, name, minimum, maximum);
    if (number != floor(number)) {
        snprintf(message, sizeof message, "%s must be an integer", name);
        napi_throw_range_error(env, NULL, message);
        return false;
    }
    *integer = (int64_t)number;
    return true;
}

bool integer_property(napi_env env, napi_value object, const char *name, int64_t minimum, int64_t maximum,
                      int64_t *integer) {
    napi_value value;
    if (!is_type(env, object, napi_object)) return reject_type(env, "expected an object of options");
    /* A getter may throw: its exception is then pending, and is the one the caller sees. */
    if (napi_get_named_property(env, object, name, &value) != napi_ok) return false;
    return integer_argument(env, value, name, minimum, maximum, integer);
}

/* UTF-8 without a NUL in it, terminated in `text`; at most capacity - 1 bytes. */
bool text_argument(napi_env env, napi_value value, const char *name, char *text, size_t capacity, size_t *length) {
    char message[96];
    size_t needed;
    if (!is_type(env, value, napi_string) ||
        napi_get_value_string_utf8(env, value, NULL, 0, &needed) != napi_ok) {
        snprintf(message, sizeof message, "%s must be a string", name);
        return reject_type(env, message);
    }
    if (needed >= capacity) return reject_range(env, name, 0, (int64_t)capacity - 1);
    if (napi_get_value_string_utf8(env, value, text, capacity, length) != napi_ok) return false;
    if (strlen(text) != *length) {
        snprintf(message, sizeof message, "%s must not contain NUL", name);
        return reject_type(env, message);
    }
    return true;
}

napi_value boolean_value(napi_env env, bool boolean) {
    napi_value value = NULL;
    napi_get_boolean(env, boolean, &value);
    return value;
}

napi_value number_value(napi_env env, double number) {
    napi_value value = NULL;
    napi_create_double(env, number, &value);
    return value;
}

napi_value undefined_value(napi_env env) {
    napi_value value = NULL;
    napi_get_undefined(env, &value);
    return value;
}

napi_value new_object(napi_env env) {
    napi_value value = NULL;
    napi_create_object(env, &value);
    return value;
}

bool set_property(napi_env env, napi_value object, const char *name, napi_value value) {
    return object != NULL && value != NULL && napi_set_named_property(env, object, name, value) == napi_ok;
}

bool set_text(napi_env env, napi_value object, const char *name, const char *text) {
    napi_value value = NULL;
    return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
           set_property(env, object, name, value);
}

napi_value throw_system_error(napi_env env, const char *call, int error) {
    char text[128];
    napi_value message, failure;
    snprintf(text, sizeof text, "%s: %s", call, strerror(error));
    if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok) return NULL;
    if (napi_create_error(env, NULL, message, &failure) != napi_ok) return NULL;
    if (!set_property(env, failure, "errno", number_value(env, error))) return NULL;
    napi_throw(env, failure);
    return NULL;
}
