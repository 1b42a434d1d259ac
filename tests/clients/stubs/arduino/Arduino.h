// What the recipe for Arduino uses of the core for the ESP32, so that a compiler can check the recipe
// without it.
#pragma once
#include <string>

class String {
public:
  String(const char *text = "");
  String substring(unsigned int from) const;
  int lastIndexOf(char character) const;
};
String operator+(const char *left, const String &right);
String operator+(const String &left, const String &right);

struct HardwareSerial {
  void begin(unsigned long baud);
  void println(const String &text);
};
extern HardwareSerial Serial;

unsigned long millis();
void delay(unsigned long milliseconds);
long random(long most);

// The sketch's own: its network and its authority.
extern const char *const CA_PEM;
extern const char *const SSID;
extern const char *const WIFI_PASSWORD;
