from django.conf import settings
from django.db import models


class Entry(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    message = models.CharField(max_length=280)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created", "-id"]
        verbose_name_plural = "entries"

    def __str__(self):
        return self.message


class Payment(models.Model):
    reference = models.CharField(max_length=64, unique=True)  # the provider's
    cents = models.PositiveIntegerField()
    written = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-written", "-id"]

    def __str__(self):
        return self.reference

    def amount(self):
        return f"{self.cents // 100}.{self.cents % 100:02}"
