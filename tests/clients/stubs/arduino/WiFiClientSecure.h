// What the recipe for Arduino uses of it.
#pragma once
#include "Arduino.h"

enum wl_status_t { WL_CONNECTED = 3 };

struct WiFiClass {
  void begin(const char *network, const char *password);
  wl_status_t status();
};
extern WiFiClass WiFi;

class Client {};

class WiFiClientSecure : public Client {
public:
  void setCACert(const char *pem);
};
