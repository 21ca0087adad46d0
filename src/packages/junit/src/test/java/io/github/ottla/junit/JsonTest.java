package io.github.ottla.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
    @Test
    void valuesOfAllTypesAreRead() {
        Map<String, Object> fields = Json.object(" {\"a\" : \"b\",\"n\":-1.5e2, \"o\":{\"x\":[]} ,\"l\":[true,false,null]}\n");
        assertEquals("b", fields.get("a"));
        assertEquals(-150.0, fields.get("n"));
        assertEquals(Map.of("x", List.of()), fields.get("o"));
        assertEquals(Arrays.asList(true, false, null), fields.get("l"));
        assertEquals(Map.of(), Json.object("{}"));
    }

    @Test
    void escapesAreRead() {
        String text = "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00é\"}";
        assertEquals("\"\\/\b\f\n\r\té\uD83D\uDE00é", Json.object(text).get("a"));
    }

    @Test
    void quotedTextIsReadAsItWas() {
        String text = "a \"path\" C:\\new\n\u0001 é \uD83D\uDE00";
        assertEquals(text, Json.object("{" + Json.quote(text) + ":" + Json.quote(text) + "}").get(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", "[]", "1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":1}x",
        "{\"a\":\"b}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u12", "{\"a\":tru}", "{a:1}", "{\"a\":1.2.3}", "{\"a\":\"\n\"}",
    })
    void otherTextIsAnError(String text) {
        assertThrows(IllegalArgumentException.class, () -> Json.object(text));
    }

    @Test
    void deepTextIsAnError() {
        String deep = "{\"a\":" + "[".repeat(100_000);
        assertThrows(IllegalArgumentException.class, () -> Json.object(deep));
    }
}
