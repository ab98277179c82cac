from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.entries, name="entries"),
    path("payments/", views.payments, name="payments"),
    path("webhooks/payment", views.payment_webhook, name="payment-webhook"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", views.healthz, name="healthz"),
]
